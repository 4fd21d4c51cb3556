"""From plain data to options and back: strict, with errors that name path, value and what is allowed.

Specs, spaces and the options of a run are all read here; what only one of them has (kinds of blocks, repeated blocks)
it hands in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_args, get_origin

import msgspec

from .options import Kind, Options, field_hints
from .values import SpecError, did_you_mean, show

Wanted = TypeVar("Wanted", bound=Options)
_LONGEST_NAME = 60
"""Of a field, in errors."""

ReadEntry = Callable[[Any, str], Any]
"""Reads one entry of a list, given where it stands."""


@dataclass(frozen=True)
class StrictReader:
    """`kinds` are the alternatives of a tagged base; `lists` reads the lists of some options in their own way."""

    kinds: Mapping[type[Kind], Mapping[str, type[Kind]]] = field(default_factory=dict)
    lists: Mapping[type[Options], Callable[[list[Any], str, ReadEntry], list[Any]]] = field(default_factory=dict)

    def read(self, wanted: type[Wanted], data: Any) -> Wanted:
        """The options that the data describe, or a SpecError."""
        options = self._read(wanted, data, "")
        assert isinstance(options, wanted)
        return options

    def _read(self, hint: Any, data: Any, path: str) -> Any:
        """Turns fields into options where the hint wants options; plain values are checked when those are made."""
        item = options_in(hint)
        if item is None or (data is None and type(None) in get_args(hint)):
            return data
        if get_origin(hint) is tuple:
            return self._read_list(item, data, path)
        return self._read_options(item, data, path)

    def _read_list(self, item: type[Options], data: Any, path: str) -> tuple[Any, ...]:
        if not isinstance(data, list):
            raise SpecError(path, f"{show(data)} can't stand here: expected a list")

        def read_entry(entry: Any, where: str) -> Any:
            return self._read_options(item, entry, where)

        if item in self.lists:
            return tuple(self.lists[item](data, path, read_entry))
        return tuple(read_entry(entry, f"{path}[{index}]") for index, entry in enumerate(data))

    def _read_options(self, expected: type[Options], data: Any, path: str) -> Options:
        if not isinstance(data, dict):
            example = self._example(expected, data)
            raise SpecError(path, f"{show(data)} can't stand here: expected fields and their values, {example}")
        if issubclass(expected, Kind) and expected in self.kinds:
            kinds = self.kinds[expected]
            known = ", ".join(sorted(kinds))
            if "kind" not in data:
                raise SpecError(path, f"the field 'kind' is missing; it is one of {known}")
            kind = data["kind"]
            if not isinstance(kind, str) or kind not in kinds:
                raise SpecError(join(path, "kind"), f"{show(kind)} is unknown, {did_you_mean(kind, kinds)}")
            expected, data = kinds[kind], {name: value for name, value in data.items() if name != "kind"}
        hints = dict(field_hints(expected))
        fields = {field.name: field for field in msgspec.structs.fields(expected)}
        for name in data:
            if name not in fields:
                raise SpecError(join(path, name), f"there is no such field, {did_you_mean(name, fields)}")
        for name, found in fields.items():
            if name not in data and found.required:
                raise SpecError(path, f"the field {name!r} is missing")
        values = {name: self._read(hints[name], value, join(path, name)) for name, value in data.items()}
        try:
            return expected(**values)
        except SpecError as error:
            raise (error.under(path) if path else error) from None

    def _example(self, expected: type[Options], data: Any) -> str:
        kinds = self.kinds.get(expected, {}) if issubclass(expected, Kind) else {}
        if kinds:
            return f"{{kind: {data if isinstance(data, str) and data in kinds else '...'}}}"
        return f"{{{expected.__struct_fields__[0]}: ...}}"


def to_plain(value: Any) -> Any:
    """Dictionaries and lists of what YAML knows, without the values that are their field's default."""
    if isinstance(value, tuple):
        return [to_plain(item) for item in value]
    if not isinstance(value, Options):
        return value
    tag = {"kind": value.kind_name()} if isinstance(value, Kind) else {}
    fields = ((field, getattr(value, field.name)) for field in msgspec.structs.fields(value))
    return tag | {field.name: to_plain(v) for field, v in fields if field.required or v != field.default}


def options_in(hint: Any) -> type[Options] | None:
    """X for X, `X | None` and `tuple[X, ...]`, where X is an options struct."""
    if isinstance(hint, type) and issubclass(hint, Options):
        return hint
    return next((part for part in get_args(hint) if isinstance(part, type) and issubclass(part, Options)), None)


def join(path: str, name: object) -> str:
    part = name if isinstance(name, str) and name.isidentifier() and len(name) <= _LONGEST_NAME else show(name)
    return f"{path}.{part}" if path else part
