"""Stages, and where they stand: which width and feature map each one gets and gives."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Annotated, NamedTuple

import msgspec

from .blocks import Block
from .downsamples import Downsample
from .options import Options, Size, Width, strided
from .stems import Stem
from .values import Limit, SpecError

Slot = Annotated[int, Limit(0, 255)]


class Stage(Options, frozen=True):
    """A downsample, unless the stage goes on at the size it gets; a position table, if asked for; then blocks.

    `slots` says in which slots of a supernet the blocks stand, in growing order; without it, in the first ones. It
    changes nothing in a network by itself.
    """

    width: Width
    blocks: tuple[Block, ...]
    downsample: Downsample | None = None
    position_table: bool = False
    slots: tuple[Slot, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.slots is None:
            return
        if len(self.slots) != len(self.blocks):
            raise SpecError("slots", f"{len(self.slots)} slots are not one for each of {len(self.blocks)} blocks")
        if any(second <= first for first, second in itertools.pairwise(self.slots)):
            raise SpecError("slots", f"{list(self.slots)} do not grow from block to block")
        if self.slots == tuple(range(len(self.blocks))):
            msgspec.structs.force_setattr(self, "slots", None)  # one value, one form

    @property
    def block_slots(self) -> tuple[int, ...]:
        return tuple(range(len(self.blocks))) if self.slots is None else self.slots


class Place(NamedTuple):
    """What comes into a stage and what goes out. Its blocks all see `width` and `size`."""

    path: str
    width_in: int
    width: int
    size_in: Size
    size: Size
    stride: int
    """Pixels of the image per position of `size`."""


def places(stem: Stem, stages: Iterable[Stage], size: Size) -> Iterator[Place]:
    """The place of each stage for an image of this size."""
    width, stride, size = stem.width, stem.stride, strided(size, stem.stride)
    for index, stage in enumerate(stages):
        halves = stage.downsample is not None
        out = strided(size, 2) if halves else size
        stride *= 2 if halves else 1
        yield Place(f"stages[{index}]", width, stage.width, size, out, stride)
        width, size = stage.width, out
