"""Enlarging a map by whole numbers."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from ...errors import PackageError
from .arguments import Arguments, Operator


def upsample_nearest_neighbor(a: Arguments) -> Tensor:
    height, width = _factors(a)
    return a.tensor("x").repeat_interleave(height, -2).repeat_interleave(width, -1)


def upsample_bilinear(a: Arguments) -> Tensor:
    x, (height, width), corners = a.tensor("x"), _factors(a), a.flag("align_corners", True)
    size = (x.shape[-2] * height, x.shape[-1] * width)
    return F.interpolate(x, size, mode="bilinear", align_corners=corners)


def _factors(a: Arguments) -> tuple[int, int]:
    factors = a.number("scale_factor_height", 1), a.number("scale_factor_width", 1)
    if any(factor != int(factor) or factor < 1 for factor in factors):
        raise PackageError(f"its factors {factors} are no whole numbers")
    return int(factors[0]), int(factors[1])


OPERATORS: dict[str, Operator] = {
    "upsample_nearest_neighbor": upsample_nearest_neighbor,
    "upsample_bilinear": upsample_bilinear,
}
