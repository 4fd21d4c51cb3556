"""A folder of images for each class, as ImageNet comes: path/train/<class>/*.jpg."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from supernet.values import SpecError, printable

from .sources import Names


class Folder:
    """One split, found by timm's reader: classes are the innermost folders' names."""

    def __init__(self, directory: Path, field: str) -> None:
        from timm.data import create_dataset
        from timm.data.readers.img_extensions import get_img_extensions

        here = printable(str(directory))
        try:
            reader = create_dataset("", root=str(directory), search_split=False).reader
        except RuntimeError:  # timm's word for an empty folder
            kinds = ", ".join(get_img_extensions())
            raise SpecError(field, f"no images in the folders of {here}: looked for {kinds}") from None
        if "" in reader.class_to_idx:
            raise SpecError(field, f"images lie in {here} itself; they belong into a folder for each class")
        self._directory = directory
        self._names = Names(os.path.relpath(path, directory) for path, _ in reader.samples)
        self.labels = np.fromiter((label for _, label in reader.samples), np.int64, len(self._names))
        self.classes: tuple[str, ...] = tuple(sorted(reader.class_to_idx, key=reader.class_to_idx.__getitem__))

    def read(self, index: int) -> bytes:
        return (self._directory / self._names[index]).read_bytes()

    def name(self, index: int) -> str:
        return str(self._directory / self._names[index])
