"""Where images come from: what a source is, and how the files of a split are found on disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol, overload

import numpy as np
from PIL import Image

from supernet.values import SpecError, UserError, printable, show


class DataError(UserError, RuntimeError):
    """The data can't be used any further: broken files, too many unreadable images, a worker that died."""


class Source(Protocol):
    """Images one can read in any order, from several processes at once."""

    labels: np.ndarray
    """int64, one for each image."""
    classes: tuple[str, ...]
    """The names of the labels 0, 1, ...; empty where the data has none."""

    def read(self, index: int) -> bytes | memoryview | Image.Image:
        """What stands in the file. Raises OSError if it can't be had."""
        ...

    def name(self, index: int) -> str:
        """What a person would look for."""
        ...


class Names(Sequence[str]):
    """Very many names in one piece of memory, which workers share: a list would be copied to each as it is used."""

    def __init__(self, names: Iterable[str]) -> None:
        encoded = [name.encode("utf-8", "surrogateescape") for name in names]
        self._ends = np.cumsum([0] + [len(name) for name in encoded])
        self._text = b"".join(encoded)

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        index = range(len(self))[index]
        return self._text[self._ends[index] : self._ends[index + 1]].decode("utf-8", "surrogateescape")


def data_directory(path: str) -> Path:
    """`data.path`, if it is a directory."""
    if not path:
        raise SpecError("data.path", "is missing: this source needs the directory with the data")
    directory = Path(path).expanduser()
    if not directory.exists():
        raise SpecError("data.path", f"there is no {printable(str(directory))}")
    if not directory.is_dir():
        raise SpecError(
            "data.path", f"{printable(str(directory))} is a file; name its directory, and the file by data.train"
        )
    return directory


def split_directory(directory: Path, field: str, split: str) -> Path:
    """The sub-folder of a split."""
    if split and (directory / split).is_dir():
        return directory / split
    raise _missing(directory, field, split, [f"{split}/"])


def split_files(directory: Path, field: str, split: str, suffix: str) -> list[Path]:
    """The files of a split, by name: `split` itself, split.tar, split-*.tar, split_*.tar or split/*.tar, in this order.

    Last data/split-*.tar, where the Hugging Face Hub has its files.
    """
    patterns = [split] if split.endswith(suffix) else []
    patterns += [f"{split}{suffix}", f"{split}-*{suffix}", f"{split}[_.0-9]*{suffix}"]
    patterns += [f"{split}/*{suffix}", f"data/{split}-*{suffix}"]
    if not split or Path(split).is_absolute():
        raise SpecError(field, f"{show(split)} is not the name of a split inside data.path")
    for pattern in patterns:
        found = sorted(path for path in directory.glob(pattern) if path.is_file())
        if found:
            return found
    raise _missing(directory, field, split, patterns)


def _missing(directory: Path, field: str, split: str, tried: Sequence[str]) -> SpecError:
    there = sorted(path.name + "/" * path.is_dir() for path in directory.iterdir())
    shown = ", ".join(map(printable, there[:10])) + (f" and {len(there) - 10} more" if len(there) > 10 else "")
    where = printable(str(directory))
    return SpecError(field, f"{show(split)} is not in {where}: tried {', '.join(tried)}; there is {shown or 'nothing'}")


def class_numbers(names: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels and classes from a class name for each image: numbered as people count, so that n2 is before n10."""
    from timm.utils.misc import natural_key

    classes = sorted(set(names), key=natural_key)
    number = {name: index for index, name in enumerate(classes)}
    return np.fromiter((number[name] for name in names), np.int64, len(names)), tuple(classes)
