"""What may vary in one part of a network: a kind of stem, downsample, block or head with some fields left open."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from ..options import Kind
from ..values import SpecError, show

DIMENSIONS = ("resolution", "width", "depth", "kernel", "expand", "attention")
"""What may be elastic. `attention` is its placement, its heads and their widths."""

_DIMENSION_OF = {
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


@dataclass(frozen=True)
class Open:
    """A field that is left open, and its values from cheap to expensive as the space file lists them.

    `by_width` has a list for each width of the stage instead, all of one length: what the third choice means then
    depends on the width.
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
        return _DIMENSION_OF[self.field]


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
        """The options with these choices, one for each open field."""
        values = {field.field: field.at(width)[choices[field.field]] for field in self.open}
        return self.kind(**dict(self.fixed), **values)

    def all_options(self, width: int) -> Iterator[Any]:
        lists = [field.at(width) for field in self.open]
        for values in itertools.product(*lists):
            yield self.kind(**dict(self.fixed), **dict(zip([f.field for f in self.open], values, strict=True)))

    def corners(self, width: int) -> Iterator[Any]:
        """The options whose open fields each have their first or last value: whatever grows or shrinks with a field
        is extreme at one of them."""
        lists = [sorted({field.at(width)[0], field.at(width)[-1]}) for field in self.open]
        for values in itertools.product(*lists):
            yield self.kind(**dict(self.fixed), **dict(zip([f.field for f in self.open], values, strict=True)))

    def choices(self, options: Kind, width: int) -> dict[str, int]:
        """The way back from `options`, or a SpecError that says which field is not in the space."""
        if type(options) is not self.kind:
            raise SpecError("kind", f"{options.kind_name()!r} is not {self.name!r}, which the space has here")
        found = {}
        for field in self.open:
            values, value = field.at(width), getattr(options, field.field)
            if value not in values:
                raise SpecError(field.field, f"{show(value)} is not one of {', '.join(f'{v:g}' for v in values)}")
            found[field.field] = values.index(value)
        same = self.kind(**dict(self.fixed), **{field.field: getattr(options, field.field) for field in self.open})
        if same != options:
            for name in self.kind.__struct_fields__:
                ours, theirs = getattr(same, name), getattr(options, name)
                if ours != theirs:
                    raise SpecError(name, f"{show(theirs)} is not {show(ours)}, which the space has here")
        return found

    def required(self) -> set[str]:
        given = {name for name, _ in self.fixed} | {field.field for field in self.open}
        return {field.name for field in msgspec.structs.fields(self.kind) if field.required} - given
