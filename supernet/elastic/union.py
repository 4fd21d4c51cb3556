"""The tensors that hold every network of a space: how large each must be, and where a piece's parameter lies."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ..layers import PositionBias
from ..options import Size
from ..pieces import BlockPiece, DownsamplePiece, HeadPiece, NormPiece, Piece, PositionPiece, StemPiece
from ..space import Space
from ..space.choices import PartSpace
from ..stages import Stage, places
from .axes import Dim, parameter_axes
from .naming import Naming
from .skeletons import skeleton
from .slices import merged


@dataclass(frozen=True)
class SharedTensor:
    dims: tuple[Dim, ...]
    grid: Size | None = None
    """Of a table of position biases, the map whose distances it has."""


@dataclass(frozen=True)
class Union:
    tensors: dict[str, SharedTensor]
    fullest: dict[str, Piece]
    """For each tensor, a piece that uses as much of it as any."""


def union(space: Space, names: Naming) -> Union:
    tensors: dict[str, SharedTensor] = {}
    fullest: dict[str, tuple[int, Piece]] = {}
    for first in extreme_pieces(space, every=names.norm_per_width):
        module = skeleton(first)
        for piece in _in_all_slots(space, first):
            for parameter in parameter_axes(piece, module, names):
                name, dims = parameter.name, parameter.dims
                known = tensors.get(name)
                if known is not None and [dim.axis for dim in dims] != [dim.axis for dim in known.dims]:
                    raise ValueError(f"{name}: kinds of one slot can't share a tensor with other dimensions")
                if known is not None:
                    dims = tuple(map(merged, known.dims, dims))
                grid = parameter.owner.size if isinstance(parameter.owner, PositionBias) else None
                tensors[name] = SharedTensor(dims, grid)
                used = math.prod(dim.length for dim in parameter.dims)
                if name not in fullest or used > fullest[name][0]:
                    fullest[name] = (used, piece)
    return Union(tensors, {name: piece for name, (_, piece) in fullest.items()})


def _in_all_slots(space: Space, piece: Piece) -> Iterator[Piece]:
    if not isinstance(piece, BlockPiece):
        yield piece
        return
    kinds = space.stages[piece.stage].kinds
    rule = next(kind.rule for kind in kinds if kind.part.kind is type(piece.block))
    for slot in rule.slots:
        yield replace(piece, slot=slot)


def extreme_pieces(space: Space, every: bool = False) -> Iterator[Piece]:
    """Pieces of the space of which some are as large as any, in every dimension of every tensor.

    Sizes of tensors grow or shrink with each option and width by itself, so that the ends of the lists will do. With
    `every`, all values of all lists are taken. Blocks stand for those in all slots.
    """
    stems = list(_options(space.stem, 0, every))
    for stem in stems:
        yield StemPiece(stem, space.in_chans)
    incoming = tuple(sorted({stem.width for stem in stems}))
    for index, stage in enumerate(space.stages):
        by_width = any(field.by_width for kind in stage.kinds for field in kind.part.open)
        widths = (stage.widths if every or by_width else _ends(stage.widths)) or incoming
        size_in, size = _largest_maps(space, index)
        for width in widths:
            if stage.downsample is not None:
                for down, width_in in itertools.product(_options(stage.downsample, width, every), incoming):
                    yield DownsamplePiece(index, down, width_in, width, size_in)
            if stage.position_table:
                yield PositionPiece(index, width, size)
            for kind in stage.kinds:
                for block in _options(kind.part, width, every):
                    yield BlockPiece(index, 0, block, width, size)
        incoming = widths
    for width, head in itertools.product(incoming, _options(space.head, 0, every)):
        yield NormPiece(len(space.stages) - 1, head, width)
        yield HeadPiece(len(space.stages) - 1, head, width, space.num_classes, space.distilled)


def _options(part: PartSpace, width: int, every: bool) -> Iterator[Any]:
    return part.all_options(width) if every else part.corners(width)


def _ends(values: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(dict.fromkeys((*values[:1], *values[-1:])))


def _largest_maps(space: Space, index: int) -> tuple[Size, Size]:
    """The largest map that comes into a stage, and the largest its blocks see: those of the highest resolution."""
    sizes = [(size, size) if isinstance(size, int) else size for size in space.resolutions]
    size = (max(height for height, _ in sizes), max(width for _, width in sizes))
    stem = next(space.stem.all_options(0))
    frames = []
    for stage in space.stages:
        width = stage.widths[-1] if stage.widths else 0  # which one does not matter for sizes
        down = None if stage.downsample is None else next(stage.downsample.all_options(width))
        frames.append(Stage(width=max(width, 1), blocks=(), downsample=down))
    place = list(places(stem, frames, size))[index]
    return place.size_in, place.size
