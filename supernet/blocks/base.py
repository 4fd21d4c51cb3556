"""What a block is: options that know their limits, their cost and their module."""

from __future__ import annotations

import functools
from abc import abstractmethod
from typing import ClassVar

from torch import nn

from ..options import Cost, Kind, Size, area
from ..values import SpecError

MAX_PAIRS = 2**24
"""Of a query and a key, where each pair has a learned bias: their index takes 128 MB."""
MAX_WEIGHTS = 2**28
"""Of attention that keeps a weight for each pair and head: 1 GB for one image."""
MAX_POSITIONS = 2**15
"""Of attention that keeps no weights, in PyTorch's fused form."""


class Block(Kind, frozen=True):
    """Keeps width and size of the feature map. The width comes from the stage, the size from stem and downsamples."""

    fixed_size: ClassVar[bool] = False
    """Whether the module has tables for the size it was made for."""
    attends: ClassVar[bool] = False
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


def layer_scale_cost(width: int, layer_scale: float | None, count: int) -> Cost:
    return Cost(params=0 if layer_scale is None else count * width)


@functools.lru_cache(maxsize=65536)
def block_cost(block: Block, width: int, size: Size) -> Cost:
    """Checked and counted once: a search makes networks by the thousand, from few different blocks."""
    block.check(width, size)
    return block.cost(width, size)


def check_biased_attention(queries: Size, keys: Size, heads: int) -> None:
    """An attention map that is too large must not reach the allocator."""
    pairs = area(queries) * area(keys)
    if pairs > MAX_PAIRS or heads * pairs > MAX_WEIGHTS:
        most = min(MAX_PAIRS, MAX_WEIGHTS // heads)
        asked = f"attention of {queries[0]}x{queries[1]} to {keys[0]}x{keys[1]} positions with {head_count(heads)}"
        raise SpecError("", f"{asked} makes {pairs:,} pairs, more than {most:,}")


def check_fused_attention(size: Size) -> None:
    if area(size) > MAX_POSITIONS:
        raise SpecError("", f"attention between {size[0]}x{size[1]} positions is more than {MAX_POSITIONS:,}")


def head_count(heads: int) -> str:
    return "1 head" if heads == 1 else f"{heads} heads"
