"""What a latency table has rows for: the pieces of networks, each with the shape of what goes in.

A unit does not know in which stage or slot it stands, so that all networks of all spaces share one table.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from supernet import NetSpec, Space, SpecError
from supernet.blocks import BLOCKS, Block, block_cost
from supernet.downsamples import DOWNSAMPLES, Downsample, downsample_cost
from supernet.heads import HEADS, Head
from supernet.layers import PositionTable
from supernet.options import Cost, Size, area, strided
from supernet.pieces import BlockPiece, DownsamplePiece, HeadPiece, NormPiece
from supernet.stages import places
from supernet.stems import STEMS, Stem
from supernet.strict_reading import StrictReader, to_plain
from supernet.values import show

PARTS = ("stem", "downsample", "position", "block", "head")
_KINDS: dict[str, tuple[Any, Any]] = {
    "stem": (Stem, STEMS),
    "downsample": (Downsample, DOWNSAMPLES),
    "block": (Block, BLOCKS),
    "head": (Head, HEADS),
}


class HeadModule(nn.Module):
    """What follows the last stage: the final norm, pooling and the classifier, folded together where they can be."""

    def __init__(self, norm: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.norm, self.head = norm, head

    def forward(self, x: Any) -> Any:
        return self.head(self.norm(x))


@dataclass(frozen=True)
class Unit:
    """`options` is None for a position table, which adds to the map what it has learnt for each place."""

    part: str
    options: Any
    width_in: int
    width: int
    size: Size
    """Of the map that comes in."""
    num_classes: int = 0
    distilled: bool = False

    @property
    def kind(self) -> str:
        return self.part if self.options is None else f"{self.part} {self.options.kind_name()}"

    @property
    def keeps_shape(self) -> bool:
        """Copies of it can stand behind each other."""
        return self.part in ("block", "position")

    @property
    def shape_in(self) -> tuple[int, int, int]:
        return (self.width_in, *self.size)

    @property
    def shape_out(self) -> tuple[int, ...]:
        if self.part == "head":
            return (self.num_classes,)
        stride = {"stem": getattr(self.options, "stride", 1), "downsample": 2}.get(self.part, 1)
        return (self.width, *strided(self.size, stride))

    @functools.cached_property
    def key(self) -> str:
        """One line of JSON that says all, with defaults left out: equal units have equal keys."""
        fields: dict[str, Any] = {"part": self.part}
        fields |= {} if self.options is None else to_plain(self.options)
        fields["in"] = list(self.shape_in)
        if self.part == "downsample":
            fields["out_width"] = self.width
        elif self.part == "head":
            fields["num_classes"] = self.num_classes
            fields |= {"distilled": True} if self.distilled else {}
        return json.dumps(fields, separators=(",", ":"))

    def module(self) -> nn.Module:
        """A new one, with weights as PyTorch's layers come."""
        if self.part == "stem":
            return self.options.module(self.width_in)
        if self.part == "downsample":
            return DownsamplePiece(0, self.options, self.width_in, self.width, self.size).module()
        if self.part == "position":
            return PositionTable(self.width, self.size)
        if self.part == "block":
            return BlockPiece(0, 0, self.options, self.width, self.size).module()
        norm = NormPiece(0, self.options, self.width_in).module()
        return HeadModule(norm, HeadPiece(0, self.options, self.width_in, self.num_classes, self.distilled).module())

    def __str__(self) -> str:
        about = {} if self.options is None else to_plain(self.options)
        about.pop("kind", None)
        about = {name: value for name, value in about.items() if name != "width"}
        words = [self.kind, *(f"{name}={value}" for name, value in about.items())]
        channels = f"{self.width_in}>{self.width}" if self.part in ("stem", "downsample") else f"{self.width_in}"
        classes = f" for {self.num_classes} classes" if self.num_classes else ""
        return f"{' '.join(words)} on {channels} x {self.size[0]}x{self.size[1]}{classes}"


def read_key(key: str) -> Unit:
    """The way back. SpecError where it is no key."""
    try:
        fields = json.loads(key)
        part, shape = fields.pop("part"), fields.pop("in")
        width_in, height, width = map(int, shape)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SpecError("key", f"{show(key)} is no key of a unit") from None
    out = fields.pop("out_width", width_in)
    num_classes, distilled = fields.pop("num_classes", 0), fields.pop("distilled", False)
    options: Any = None
    if part in _KINDS:
        base, kinds = _KINDS[part]
        options = StrictReader({base: kinds}, {}).read(base, fields)
    elif part != "position":
        raise SpecError("key", f"{show(part)} is not one of {', '.join(PARTS)}")
    if part == "stem":
        out = options.width
    return Unit(part, options, width_in, out, (height, width), num_classes, distilled)


def units(spec: NetSpec) -> list[Unit]:
    """In the order in which they run."""
    found = [Unit("stem", spec.stem, spec.in_chans, spec.stem.width, spec.size)]
    for stage, place in zip(spec.stages, places(spec.stem, spec.stages, spec.size), strict=True):
        if stage.downsample is not None:
            found.append(Unit("downsample", stage.downsample, place.width_in, place.width, place.size_in))
        if stage.position_table:
            found.append(Unit("position", None, place.width, place.width, place.size))
        found += [Unit("block", block, place.width, place.width, place.size) for block in stage.blocks]
        last = place
    head = Unit("head", spec.head, last.width, last.width, last.size, spec.num_classes, spec.distilled)
    return [*found, head]


def unit_cost(unit: Unit) -> Cost:
    """Those of a network are the sum over its units."""
    if unit.part == "stem":
        cost: Cost = unit.options.cost(unit.width_in, unit.size)
    elif unit.part == "downsample":
        cost = downsample_cost(unit.options, unit.width_in, unit.width, unit.size)
    elif unit.part == "position":
        cost = Cost(params=unit.width * area(unit.size))
    elif unit.part == "block":
        cost = block_cost(unit.options, unit.width, unit.size)
    else:
        cost = unit.options.cost(unit.width, unit.num_classes, unit.distilled, unit.size)
    return cost


def space_units(space: Space) -> list[Unit]:
    """Every unit that some network of the space has, each once, in order."""
    found: dict[Unit, None] = {}
    for resolution in space.resolutions:
        size = resolution if isinstance(resolution, tuple) else (resolution, resolution)
        found |= dict.fromkeys(_units_at(space, size))
    return list(found)


def _units_at(space: Space, size: Size) -> Iterator[Unit]:
    widths: list[int] = []
    for stem in space.stem.all_options(0):
        widths.append(stem.width)
        yield Unit("stem", stem, space.in_chans, stem.width, size)
    for stage, (size_in, size_out) in zip(space.stages, space.maps(size), strict=True):
        before, widths = list(dict.fromkeys(widths)), list(stage.widths) or widths
        size = size_out
        if stage.downsample is not None:
            for width in widths:
                for options in stage.downsample.all_options(width):
                    yield from (Unit("downsample", options, one, width, size_in) for one in before)
        for width in dict.fromkeys(widths):
            if stage.position_table:
                yield Unit("position", None, width, width, size)
            for kind in stage.kinds:
                yield from (Unit("block", block, width, width, size) for block in kind.part.all_options(width))
    for head in space.head.all_options(0):
        for width in dict.fromkeys(widths):
            yield Unit("head", head, width, width, size, space.num_classes, space.distilled)
