"""Stages, and where they stand: which width and feature map each one gets and gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .blocks import Block
from .downsamples import Downsample
from .options import Options, Size, Width, strided
from .stems import Stem


class Stage(Options, frozen=True):
    """A downsample, unless the stage goes on at the size it gets; a position table, if asked for; then blocks."""

    width: Width
    blocks: tuple[Block, ...]
    downsample: Downsample | None = None
    position_table: bool = False


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
