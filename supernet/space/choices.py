"""What may vary in one part of a network: a kind of stem, downsample, block or head with some fields left open."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from ..options import Kind
from ..values import SpecError, show

DIMENSIONS = ("resolution", "width", "depth", "kernel", "expand", "attention")
"""What may be elastic. `attention` is its placement, its heads and their widths."""

DIMENSION_OF = {
    "width": "width",
    "map_width": "width",
    "vector_width": "width",
    "depth": "depth",
    "kernel": "kernel",
    "local_kernel": "kernel",
    "expand": "expand",
    "mlp_expand": "expand",
    "local_expand": "expand",
    "heads": "attention",
    "head_width": "attention",
    "key_width": "attention",
    "value_width": "attention",
    "reduction": "attention",
    "window": "attention",
    "pool": "attention",
}


_CHEAPER_WHEN_LARGER = ("reduction", "pool")

MAX_OPTIONS = 10_000
"""Of one part: each is looked at when a space is read."""


def cheap_first(field: str, values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(sorted(values, reverse=field in _CHEAPER_WHEN_LARGER))


@dataclass(frozen=True)
class Open:
    """A field that is left open, and its values from cheap to expensive.

    `by_width` has values for each width of the stage instead, equally many: what the third choice means then depends
    on the width. If there is one for each, the field follows the width and there is nothing to choose.
    """

    field: str
    values: tuple[Any, ...] = ()
    by_width: tuple[tuple[int, tuple[Any, ...]], ...] = ()

    def at(self, width: int) -> tuple[Any, ...]:
        if not self.by_width:
            return self.values
        for known, values in self.by_width:
            if known == width:
                return values
        raise SpecError(self.field, f"there are no values for the width {width}")

    @property
    def count(self) -> int:
        return len(self.by_width[0][1]) if self.by_width else len(self.values)

    @property
    def dimension(self) -> str:
        return DIMENSION_OF[self.field]


@dataclass(frozen=True)
class PartSpace:
    """All options of one kind that agree in the fixed fields and take an open field's value from its list."""

    kind: type[Kind]
    fixed: tuple[tuple[str, Any], ...]
    open: tuple[Open, ...]

    @property
    def name(self) -> str:
        return self.kind.kind_name()

    @property
    def count(self) -> int:
        """How many options there are, for one width."""
        total = 1
        for field in self.open:
            total *= field.count
        return total

    def options(self, choices: dict[str, int], width: int) -> Any:
        """The options with these choices; a field without one takes its first value."""
        values = {field.field: field.at(width)[choices.get(field.field, 0)] for field in self.open}
        return self.kind(**dict(self.fixed), **values)

    def all_options(self, width: int) -> Iterator[Any]:
        lists = [field.at(width) for field in self.open]
        for values in itertools.product(*lists):
            yield self.kind(**dict(self.fixed), **dict(zip([f.field for f in self.open], values, strict=True)))

    def corners(self, width: int) -> Iterator[Any]:
        """The options whose open fields each have their first or last value: whatever grows or shrinks with a field
        is extreme at one of them. All fields have their cheapest value in the first one, and their most expensive one
        in the last."""
        lists = [tuple(dict.fromkeys((field.at(width)[0], field.at(width)[-1]))) for field in self.open]
        for values in itertools.product(*lists):
            yield self.kind(**dict(self.fixed), **dict(zip([f.field for f in self.open], values, strict=True)))

    def examples(self, width: int) -> Iterator[Any]:
        """The corners, and options with each value of each open field: a rule that some options break, by their size
        or by one field that does not fit the width or the map, is broken by one of these."""
        yield from self.corners(width)
        for field in self.open:
            for choice in range(field.count):
                yield self.options({field.field: choice}, width)

    def choices(self, options: Kind, width: int) -> dict[str, int]:
        """The way back from `options`, or a SpecError that says which field is not in the space."""
        found = self._known.get((options, width))
        if found is None:
            found = self._known[options, width] = self._find(options, width)
        return found

    @functools.cached_property
    def _known(self) -> dict[tuple[Kind, int], dict[str, int]]:
        return {}

    def _find(self, options: Kind, width: int) -> dict[str, int]:
        if type(options) is not self.kind:
            raise SpecError("kind", f"{options.kind_name()!r} is not {self.name!r}, as in the space")
        found = {}
        for field in self.open:
            values, value = field.at(width), getattr(options, field.field)
            if value not in values:
                known = ", ".join(f"{known:g}" for known in sorted(values))
                raise SpecError(field.field, f"{show(value)} is not one of {known}, as in the space")
            found[field.field] = values.index(value)
        same = self.kind(**dict(self.fixed), **{field.field: getattr(options, field.field) for field in self.open})
        if same != options:
            for name in self.kind.__struct_fields__:
                ours, theirs = getattr(same, name), getattr(options, name)
                if ours != theirs:
                    raise SpecError(name, f"{show(theirs)} is not {show(ours)}, as in the space")
        return found

    def missing(self) -> list[str]:
        """The fields that must be given and are not."""
        given = {name for name, _ in self.fixed} | {field.field for field in self.open}
        return [field.name for field in msgspec.structs.fields(self.kind) if field.required and field.name not in given]
