"""Options as YAML files: strict reading, the exact way back, and single values changed from the command line.

An override is `a.b=c`, the value written as in YAML: step.sampled=3, optimizer.lr=1e-3, phases=[], step.teacher=null.
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args, get_origin

from .config_files import CONFIGS
from .options import Kind, Options, field_hints
from .plain_yaml import parse_yaml, read_yaml, write_yaml
from .strict_reading import StrictReader, options_in, to_plain
from .values import SpecError, did_you_mean, printable, show

Wanted = TypeVar("Wanted", bound=Options)


class OptionFiles(Generic[Wanted]):
    """Files of one kind of options; `what` it is called in errors, such as `a run`."""

    def __init__(self, wanted: type[Wanted], what: str, reader: StrictReader | None = None) -> None:
        self.wanted, self.what = wanted, what
        self.reader = reader or StrictReader()

    def load(self, path: str | Path, overrides: Sequence[str] = ()) -> Wanted:
        """What a file describes. Raises SpecError: file (or override), path, value and what would be right."""
        shown = printable(str(path))
        try:
            data = read_yaml(Path(path))
        except SpecError as error:
            raise SpecError(shown, f"{error}{_meant(Path(path))}") from None
        if isinstance(data, dict) and "stages" in data:
            raise SpecError(shown, f"is a network or a space, and not {self.what}")
        return self.read(data, overrides, shown)

    def parse(self, text: str, overrides: Sequence[str] = ()) -> Wanted:
        return self.read(parse_yaml(text), overrides, "")

    def read(self, data: Any, overrides: Sequence[str] = (), source: str = "") -> Wanted:
        """The same of what a file holds; `source` is its name."""
        places: dict[str, str] = {}  # which override wrote there
        for override in overrides:
            try:
                place, value = self._parse_override(override)
                data = _with_value(data, place.split("."), value)
            except SpecError as error:
                raise SpecError(f"--set {printable(override)}", str(error)) from None
            places[place] = override
        try:
            return self.reader.read(self.wanted, data)
        except SpecError as error:
            wrote = [place for place in places if error.path and _within(error.path, place)]
            where = [f"--set {printable(places[wrote[-1]])}" if wrote else source, error.path]
            raise SpecError(": ".join(filter(None, where)), error.message) from None

    def _parse_override(self, override: str) -> tuple[str, Any]:
        """The place and the value. A text need not be quoted: where one is wanted, what stands there is taken as it
        is."""
        place, equals, written = override.partition("=")
        place, written = place.strip(), written.strip()
        if not equals or not all(part.isidentifier() for part in place.split(".")):
            raise SpecError("", "is not of the form a.b=c, such as step.sampled=3")
        wants_text = _is_text(self._hint_at(place))
        try:
            value = parse_yaml(written)
        except SpecError:
            if not wants_text:
                raise
            value = written
        return place, written if wants_text and not isinstance(value, str) else value

    def _hint_at(self, place: str) -> Any:
        """The type of the field; SpecError for one that there isn't."""
        hint: Any = self.wanted
        parts = place.split(".")
        for depth, name in enumerate(parts):
            above = ".".join(parts[:depth])
            options = options_in(hint)
            if options is None:
                raise SpecError("", f"{above} is a value and has no fields: write {above}=…")
            if get_origin(hint) is tuple:
                raise SpecError("", f"{above} is a list, which can only be set as a whole: write {above}=[…]")
            hints = self._hints(options)
            if name not in hints:
                where = f"in {above}" if above else f"in {self.what}"
                raise SpecError("", f"there is no field {name!r} {where}, {did_you_mean(name, hints)}")
            hint = hints[name]
        return hint

    def _hints(self, options: type[Options]) -> dict[str, Any]:
        """Of all alternatives, where there are some."""
        if not issubclass(options, Kind) or options not in self.reader.kinds:
            return dict(field_hints(options))
        alternatives = self.reader.kinds[options].values()
        return {"kind": str} | {name: hint for kind in alternatives for name, hint in field_hints(kind)}


def _meant(path: Path) -> str:
    """Where a file is not there: those of its name that come with the project."""
    found = [] if path.exists() else sorted(CONFIGS.rglob(f"{glob.escape(path.stem)}.yaml"))
    here = Path.cwd().resolve()
    shown = [str(file.relative_to(here) if file.is_relative_to(here) else file) for file in found]
    return f"; with the project come {', '.join(map(printable, shown))}" if found else ""


def format_options(options: Options) -> str:
    """The canonical YAML, defaults left out: reading it makes an equal value."""
    return write_yaml(to_plain(options))


def _within(path: str, place: str) -> bool:
    """Whether the error is in what was set, or in options that were made by setting one of their fields."""
    return f"{path}.".startswith((f"{place}.", f"{place}[")) or place.startswith(f"{path}.")


def _is_text(hint: Any) -> bool:
    if get_origin(hint) is tuple:  # a list of texts
        return False
    return hint is str or (not isinstance(hint, type) and bool(get_args(hint)) and _is_text(get_args(hint)[0]))


def _with_value(data: Any, parts: list[str], value: Any) -> Any:
    """The data with one value changed; the options on the way there are made where the file leaves them out."""
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise SpecError("", f"can't be set: {show(data)} stands in the file where fields are expected")
    name, rest = parts[0], parts[1:]
    return data | {name: _with_value(data.get(name), rest, value) if rest else value}
