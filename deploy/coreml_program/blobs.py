"""The weights of a package: `weight.bin`, whose entries start with a header of 64 bytes that a program points to.

header = mark, type, bytes of data, position of data; all little-endian, the rest is padding.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from supernet.values import printable

from ..errors import PackageError

_HEADER = struct.Struct("<IIQQ")
_MARK = 0xDEADBEEF
_TYPES = {
    1: ("FLOAT16", np.float16),
    2: ("FLOAT32", np.float32),
    3: ("UINT8", np.uint8),
    4: ("INT8", np.int8),
    11: ("UINT4", np.uint8),
    13: ("UINT6", np.uint8),
}
_BITS = {"UINT4": 4, "UINT6": 6}
"""Of numbers that share bytes, the lowest bits first."""


class Blobs:
    """The tensors of one file: floats as float32, whole numbers as int64."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self._content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:  # an empty file can't be mapped
            raise PackageError(f"{printable(str(path))} can't be read: {error}") from None

    def tensor(self, position: int, dtype: str, shape: tuple[int, ...]) -> Tensor:
        """Raises PackageError where the file holds something else than the program says."""
        if position + _HEADER.size > len(self._content):
            raise self._damaged(position, "it ends before")
        mark, type_code, size, start = _HEADER.unpack_from(self._content, position)
        if mark != _MARK:
            raise self._damaged(position, "there is no entry")
        name, numpy_type = _TYPES.get(type_code, (f"type {type_code}", np.float32))
        if name != dtype:
            raise self._damaged(position, f"there is {name}, not {dtype}")
        count = int(np.prod(shape, dtype=np.int64))
        bits = _BITS.get(name, 8 * np.dtype(numpy_type).itemsize)
        if size != -(-count * bits // 8) or start + size > len(self._content):
            raise self._damaged(position, f"the entry has not the size of {count} numbers, or is cut off")
        stored = np.frombuffer(self._content, np.uint8, size, start)
        values = unpacked(stored, bits)[:count] if name in _BITS else stored.view(numpy_type)
        form = np.float32 if name.startswith("FLOAT") else np.int64
        return torch.from_numpy(values.astype(form)).reshape(shape)

    def _damaged(self, position: int, reason: str) -> PackageError:
        return PackageError(f"{printable(str(self.path))} is damaged: at byte {position} {reason}")


def unpacked(stored: np.ndarray, bits: int) -> np.ndarray:
    """Whole numbers of so many bits from the bytes that they share."""
    single = np.unpackbits(stored, bitorder="little")
    single = single[: len(single) // bits * bits].reshape(-1, bits)
    return single.astype(np.int64) @ (1 << np.arange(bits))
