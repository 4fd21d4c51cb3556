"""What a block is: options that know their limits, their cost and their module."""

from __future__ import annotations

import functools
from abc import abstractmethod
from typing import ClassVar

from torch import nn

from ..options import Cost, Kind, Size, SpecError, area

MAX_BIAS_POSITIONS = 4096
"""With a learned bias for each pair of positions: the index of those pairs alone takes 128 MB here."""
MAX_POSITIONS = 16384


class Block(Kind, frozen=True):
    """Keeps width and size of the feature map. The width comes from the stage, the size from stem and downsamples."""

    drop_path_steps: ClassVar[int] = 1
    """How many steps of the drop-path schedule the block takes: iFormer counts the branches of one unit singly."""

    def check(self, width: int, size: Size) -> None:
        """Raises SpecError where these options don't fit this width or size."""

    @abstractmethod
    def module(self, width: int, size: Size) -> nn.Sequential:
        """A chain of `Branch`es."""

    @abstractmethod
    def cost(self, width: int, size: Size) -> Cost:
        """The cost of `module(width, size)`, by arithmetic."""

    @abstractmethod
    def summary(self) -> str:
        """A few words for tables and pictures."""

    @property
    def attends(self) -> bool:
        return False


def layer_scale_cost(width: int, layer_scale: float | None, count: int) -> Cost:
    return Cost(params=0 if layer_scale is None else count * width)


@functools.lru_cache(maxsize=65536)
def block_cost(block: Block, width: int, size: Size) -> Cost:
    """Checked and counted once: a search makes networks by the thousand, from few different blocks."""
    block.check(width, size)
    return block.cost(width, size)


def check_positions(size: Size, most: int) -> None:
    """Attention between all pairs of positions: a map that is too large must not reach the allocator."""
    if area(size) > most:
        raise SpecError("", f"attention over {size[0]}x{size[1]} positions is more than {most}; lower the resolution")


def head_count(heads: int) -> str:
    return "1 head" if heads == 1 else f"{heads} heads"
