"""A look at a file before PyTorch unpickles it, for what its safe mode is slow or greedy with.

PyTorch searches its own errors by a pattern that takes the square of a name's length, so that a name of a megabyte in a
small file takes hours; and it unpacks whatever an archive holds, which can be a thousand times its size.
"""

from __future__ import annotations

import io
import os
import pickletools
import zipfile
from typing import IO

LONGEST_NAME = 500
LARGEST_GROWTH = 10
"""Times its size; what PyTorch writes is not compressed."""
_PICKLES = 5
"""At the start of a file as PyTorch wrote it before 1.6."""


def look_through(file: IO[bytes]) -> None:
    """ValueError or another error where it is not to be read. The file is left at its start."""
    file.seek(0)
    if file.read(4) != b"PK\x03\x04":
        file.seek(0)
        for _ in range(_PICKLES):
            _check_names(file)
    else:
        file.seek(0, os.SEEK_END)
        size = file.tell()
        with zipfile.ZipFile(file) as archive:
            unpacked_bytes = sum(one.file_size for one in archive.infolist())
            if unpacked_bytes > LARGEST_GROWTH * size:
                raise ValueError(f"it would become {unpacked_bytes:,} bytes")
            for name in archive.namelist():
                if name.endswith(".pkl"):
                    _check_names(io.BytesIO(archive.read(name)))
    file.seek(0)


def _check_names(file: IO[bytes]) -> None:
    for operation, argument, _ in pickletools.genops(file):
        if isinstance(argument, str) and operation.name == "GLOBAL" and len(argument) > LONGEST_NAME:
            raise ValueError(f"a name in it has {len(argument):,} letters")
