"""Tables that depend on the resolution, carried to another one. The results are float64; copying them rounds."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F

from ..options import Size, area


def resize_position_bias(table: Tensor, old: Size, new: Size) -> Tensor:
    """(heads, distances): nearest and farthest distance keep their place, what lies between is interpolated."""
    grid = table.reshape(1, table.shape[0], *old).double()
    grid = F.interpolate(grid, new, mode="bilinear", align_corners=True)
    return grid.reshape(table.shape[0], area(new))


def resize_position_table(table: Tensor, new: Size) -> Tensor:
    """(1, channels, height, width), as the authors of Inception Transformer do it."""
    return F.interpolate(table.double(), new, mode="bilinear", align_corners=False)


def square_of(positions: int) -> Size | None:
    """The size of a square map of that many positions."""
    side = math.isqrt(positions)
    return (side, side) if side * side == positions else None
