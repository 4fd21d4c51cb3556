"""Weights stored as whole numbers of few bits, made floats again: once, as the result is constant."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ...errors import PackageError
from ..blobs import unpacked
from .arguments import Arguments


def constexpr_affine_dequantize(a: Arguments) -> Tensor:
    """Scale and zero point are single numbers, or one for each place along `axis`."""
    data, axis = a.tensor("quantized_data").float(), a.integer("axis", 0)
    by_place = [-1 if one == axis % data.dim() else 1 for one in range(data.dim())]
    scale, zero = (one.reshape(by_place) if one.dim() else one for one in (a.tensor("scale"), a.tensor("zero_point")))
    return (data - zero) * scale


def constexpr_blockwise_shift_scale(a: Arguments) -> Tensor:
    data = a.tensor("data").float()
    shifted = data - _to_blocks(a.tensor("offset"), data) if a.has("offset") else data
    return shifted * _to_blocks(a.tensor("scale"), data)


def _to_blocks(values: Tensor, data: Tensor) -> Tensor:
    """One value for each block, repeated over it."""
    for axis, (length, blocks) in enumerate(zip(data.shape, values.shape, strict=True)):
        values = values.repeat_interleave(length // blocks, axis)
    return values.float()


def constexpr_lut_to_dense(a: Arguments) -> Tensor:
    """Each weight is a place in one table. With `shape` (before iOS 18), the places share bytes."""
    table = a.tensor("lut")
    if table.numel() != max(table.shape):
        raise PackageError("its lut is more than one table of single numbers, which is not understood")
    table, places = table.flatten(), a.tensor("indices")
    if not a.has("shape"):
        return table[places]
    shape = a.ints("shape")
    bits = (table.numel() - 1).bit_length()
    numbers = unpacked(places.numpy().astype(np.uint8), bits)
    return table[torch.from_numpy(numbers)[: int(np.prod(shape))]].reshape(shape)


COMPRESSED: dict[str, Callable[[Arguments], Tensor]] = {
    "constexpr_affine_dequantize": constexpr_affine_dequantize,
    "constexpr_blockwise_shift_scale": constexpr_blockwise_shift_scale,
    "constexpr_lut_to_dense": constexpr_lut_to_dense,
}
