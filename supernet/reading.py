"""Specs as YAML: strict reading, whose errors name file, path, value and what is allowed, and the exact way back."""

from __future__ import annotations

import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from .blocks import BLOCKS, Block
from .downsamples import DOWNSAMPLES, Downsample
from .heads import HEADS, Head
from .options import Kind, Options, SpecError, did_you_mean
from .plain_yaml import parse_yaml, read_yaml, write_yaml
from .spec import MAX_BLOCKS, NetSpec
from .stems import STEMS, Stem

NETWORKS = Path(__file__).parent.parent / "configs" / "networks"
"""Where the published networks lie, one file each."""

KINDS: dict[type[Kind], Mapping[str, type[Kind]]] = {
    Stem: STEMS,
    Downsample: DOWNSAMPLES,
    Block: BLOCKS,
    Head: HEADS,
}


def published_names() -> list[str]:
    return sorted(path.stem for path in NETWORKS.glob("*.yaml"))


def load_spec(name_or_path: str | Path) -> NetSpec:
    """A published network by its name, or any by its file. Raises SpecError, which is a ValueError."""
    path = _find(name_or_path)
    try:
        return _to_spec(read_yaml(path))
    except SpecError as error:
        where = f"{name_or_path}: {error.path}" if error.path else str(name_or_path)
        raise SpecError(where, error.message) from None


def parse_spec(text: str) -> NetSpec:
    return _to_spec(parse_yaml(text))


def save_spec(spec: NetSpec, path: str | Path) -> None:
    """Written beside and renamed, so that a reader never sees half a file."""
    path = Path(path)
    beside = path.with_name(path.name + ".tmp")
    beside.write_text(format_spec(spec), encoding="utf-8")
    beside.replace(path)


def format_spec(spec: NetSpec) -> str:
    """The canonical YAML: defaults left out, equal neighbours among the blocks written once with `repeat`."""
    data = msgspec.to_builtins(spec)
    data["stages"] = [{"width": stage["width"]} | stage for stage in data["stages"]]
    for stage in data["stages"]:
        stage["blocks"] = _fold_repeats(stage.pop("blocks"))
    resolution = data.pop("resolution", 224)
    return write_yaml({"family": data.pop("family"), "resolution": resolution} | data)


def _find(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        if not path.exists():
            raise SpecError(str(name_or_path), "there is no such file")
        return path
    published = NETWORKS / f"{name_or_path}.yaml"
    if not str(name_or_path) or not published.is_file():
        names = published_names()
        raise SpecError(str(name_or_path) or "''", f"no published network has this name, {did_you_mean(path, names)}")
    return published


def _to_spec(data: Any) -> NetSpec:
    origins: list[list[int]] = []
    try:
        spec = _read(NetSpec, data, "", origins)
    except SpecError as error:
        raise SpecError(_as_written(error.path, origins), error.message) from None
    assert isinstance(spec, NetSpec)
    return spec


def _read(expected: Any, data: Any, path: str, origins: list[list[int]]) -> Any:
    """`data` as the expected type; `origins` learns for each stage from which line of the file a block came."""
    if isinstance(expected, type) and issubclass(expected, Options):
        return _read_options(expected, data, path, origins)
    inner = _optional(expected)
    if inner is not None:
        return None if data is None else _read(inner, data, path, origins)
    if get_origin(expected) is tuple and len(get_args(expected)) == 2 and get_args(expected)[1] is Ellipsis:
        return _read_list(get_args(expected)[0], data, path, origins)
    try:
        value = msgspec.convert(data, expected)
    except msgspec.ValidationError as error:
        raise SpecError(path, f"{_show(data)} can't stand here: {_in_words(str(error))}") from None
    if isinstance(value, float) and value != value:
        raise SpecError(path, "nan is not a number here")
    return value


_TYPES = {"int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false", "null": "nothing"}
_TYPES |= {"array": "a list", "object": "fields and their values"}


def _in_words(error: str) -> str:
    """msgspec's message, such as "Expected `int | array`, got `str` - at `$`", without what we say ourselves."""
    wanted = error.split(" - at ")[0].split(", got")[0].removeprefix("Expected ").replace("`", "")
    return "expected " + " or ".join(_TYPES.get(name, name) for name in wanted.split(" | "))


def _optional(expected: Any) -> Any:
    """X for `X | None` where X is an options struct."""
    if get_origin(expected) in (Union, types.UnionType):
        inner = [part for part in get_args(expected) if part is not types.NoneType]
        if len(inner) == 1 and isinstance(inner[0], type) and issubclass(inner[0], Options):
            return inner[0]
    return None


def _read_options(expected: type[Options], data: Any, path: str, origins: list[list[int]]) -> Options:
    if not isinstance(data, dict):
        raise SpecError(path, f"{_show(data)} can't stand here: expected fields and their values")
    if expected in KINDS:
        kinds = KINDS[expected]
        known = ", ".join(sorted(kinds))
        if "kind" not in data:
            raise SpecError(path, f"the field 'kind' is missing; it is one of {known}")
        kind = data["kind"]
        if not isinstance(kind, str) or kind not in kinds:
            raise SpecError(_join(path, "kind"), f"{_show(kind)} is unknown, {did_you_mean(kind, kinds)}")
        expected, data = kinds[kind], {name: value for name, value in data.items() if name != "kind"}
    hints = get_type_hints(expected, include_extras=True)
    fields = {field.name: field for field in msgspec.structs.fields(expected)}
    for name in data:
        if name not in fields:
            raise SpecError(_join(path, str(name)), f"there is no such field, {did_you_mean(name, fields)}")
    for name, field in fields.items():
        if name not in data and field.required:
            raise SpecError(path, f"the field {name!r} is missing")
    values = {name: _read(hints[name], value, _join(path, name), origins) for name, value in data.items()}
    try:
        return expected(**values)
    except SpecError as error:
        raise error.under(path) if path else error from None


def _read_list(item: Any, data: Any, path: str, origins: list[list[int]]) -> tuple[Any, ...]:
    if not isinstance(data, list):
        raise SpecError(path, f"{_show(data)} can't stand here: expected a list")
    items: list[Any] = []
    origin: list[int] = []
    for index, entry in enumerate(data):
        here = f"{path}[{index}]"
        repeat = 1
        if item is Block and isinstance(entry, dict) and "repeat" in entry:
            repeat = entry["repeat"]
            if type(repeat) is not int or not 1 <= repeat <= MAX_BLOCKS:
                raise SpecError(f"{here}.repeat", f"{_show(repeat)} is not a number from 1 to {MAX_BLOCKS}")
            entry = {name: value for name, value in entry.items() if name != "repeat"}
        items += [_read(item, entry, here, origins)] * repeat
        origin += [index] * repeat
    if item is Block:
        origins.append(origin)
    return tuple(items)


def _as_written(path: str, origins: list[list[int]]) -> str:
    """A path in the spec, where repeated blocks are counted singly, as the path in the file."""
    head, bracket, rest = path.partition(".blocks[")
    if not bracket or not head.startswith("stages["):
        return path
    stage, block = int(head[len("stages[") : -1]), rest.split("]")[0]
    if stage >= len(origins) or int(block) >= len(origins[stage]):
        return path
    return f"{head}{bracket}{origins[stage][int(block)]}{rest[len(block) :]}"


def _fold_repeats(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    folded: list[dict[str, Any]] = []
    counts: list[int] = []
    for block in blocks:
        if folded and folded[-1] == block:
            counts[-1] += 1
        else:
            folded.append(block)
            counts.append(1)
    return [block | ({"repeat": count} if count > 1 else {}) for block, count in zip(folded, counts, strict=True)]


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
