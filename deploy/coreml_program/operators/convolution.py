"""Convolution and pooling. `pad` lists, for each spatial dimension, what is added before and after."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import PackageError
from .arguments import Arguments, Operator

_SPATIAL = 2


def conv(a: Arguments) -> Tensor:
    return F.conv2d(
        _padded(a, a.tensor("x"), 0.0),
        a.tensor("weight"),
        a.optional("bias"),
        a.ints("strides", [1] * _SPATIAL),
        0,
        a.ints("dilations", [1] * _SPATIAL),
        a.integer("groups", 1),
    )


def conv_transpose(a: Arguments) -> Tensor:
    """The whole overlap of the kernels; `pad` is cut off at the start, `output_shape` or `pad` at the end."""
    whole = F.conv_transpose2d(
        a.tensor("x"),
        a.tensor("weight"),
        a.optional("bias"),
        a.ints("strides", [1] * _SPATIAL),
        0,
        0,
        a.integer("groups", 1),
        a.ints("dilations", [1] * _SPATIAL),
    )
    top, bottom, left, right = _pad(a)
    height, width = whole.shape[-2] - top - bottom, whole.shape[-1] - left - right
    if a.has("output_shape"):
        height, width = a.ints("output_shape")[-_SPATIAL:]
    return whole[:, :, top : top + height, left : left + width]


def avg_pool(a: Arguments) -> Tensor:
    x = a.tensor("x")
    kernel, strides = a.ints("kernel_sizes"), a.ints("strides", [1] * _SPATIAL)
    _check_floor(a)
    total = F.avg_pool2d(_padded(a, x, 0.0), kernel, strides) * math.prod(kernel)
    if not a.flag("exclude_padding_from_average"):
        return total / math.prod(kernel)
    inside = F.avg_pool2d(_padded(a, torch.ones_like(x), 0.0), kernel, strides) * math.prod(kernel)
    return total / inside


def max_pool(a: Arguments) -> Tensor:
    _check_floor(a)
    return F.max_pool2d(_padded(a, a.tensor("x"), -math.inf), a.ints("kernel_sizes"), a.ints("strides", [1] * _SPATIAL))


def _check_floor(a: Arguments) -> None:
    if a.flag("ceil_mode"):
        raise PackageError("its ceil_mode is true, which is not understood")


def _padded(a: Arguments, x: Tensor, value: float) -> Tensor:
    top, bottom, left, right = _pad(a)
    return F.pad(x, (left, right, top, bottom), value=value)


def _pad(a: Arguments) -> list[int]:
    """Top, bottom, left, right."""
    custom = a.word("pad_type", "valid", ("valid", "custom")) == "custom"
    pad = a.ints("pad", [0] * 2 * _SPATIAL) if custom else [0] * 2 * _SPATIAL
    if len(pad) != 2 * _SPATIAL:
        raise PackageError(f"its pad has {len(pad)} numbers; understood are two spatial dimensions")
    return pad


OPERATORS: dict[str, Operator] = {
    "conv": conv,
    "conv_transpose": conv_transpose,
    "avg_pool": avg_pool,
    "max_pool": max_pool,
}
