"""Images inside tar files, read by their place in the file: from any process, in any order, nothing unpacked.

Two kinds. `tar` is a tar of class folders, or a folder of tars, as timm reads them. `webdataset` has samples of several
members with one name: 0001.jpg and 0001.cls, or 0001.json with the label in a field. timm's readers of both keep a
position in an open file, which workers would share, and the order of its WebDataset can't be taken up in the middle.
"""

from __future__ import annotations

import functools
import io
import json
import os
import posixpath
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from supernet.values import SpecError, printable, show

from .sources import DataError, Names, class_numbers

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


class Member(NamedTuple):
    """A file inside a tar (or inside a tar in that tar), and where its bytes lie in the outermost one."""

    path: str
    start: int
    size: int


class Shards:
    """Images known by file, start and size, as a `Source`."""

    def __init__(
        self,
        files: Sequence[Path],
        shard: Sequence[int],
        members: Sequence[Member],
        labels: np.ndarray,
        classes: tuple[str, ...],
    ) -> None:
        self._files = [str(path) for path in files]
        self._shard = np.array(shard, np.int32)
        self._start = np.fromiter((member.start for member in members), np.int64, len(members))
        self._size = np.fromiter((member.size for member in members), np.int64, len(members))
        self._names = Names(member.path for member in members)
        self.labels, self.classes = labels, classes

    def read(self, index: int) -> bytes:
        file = _opened(self._files[self._shard[index]])
        return os.pread(file.fileno(), int(self._size[index]), int(self._start[index]))

    def name(self, index: int) -> str:
        return f"{self._files[self._shard[index]]}: {self._names[index]}"


@functools.lru_cache(maxsize=64)
def _opened(path: str) -> io.FileIO:
    """Closed when 64 others were used since: a data set may have more shards than a process may have open files."""
    return io.FileIO(path)


def open_class_tars(files: Sequence[Path], field: str) -> Shards:
    """A class is the innermost folder of an image; without one, the tar inside the tar, or one of many tars."""
    shards, members, names = [], [], []
    for number, path in enumerate(files):
        outside = "" if len(files) == 1 else path.stem
        for member in _members(path, into_tars=True):
            if posixpath.splitext(member.path)[1].lower() not in IMAGE_SUFFIXES:
                continue
            folder = posixpath.basename(posixpath.dirname(posixpath.join(outside, member.path)))
            if not folder:
                raise SpecError(field, f"{printable(str(path))}: {printable(member.path)} lies in no folder of a class")
            shards.append(number)
            members.append(member)
            names.append(folder)
    if not members:
        raise SpecError(
            field, f"no images in {printable(', '.join(map(str, files)))}: looked for {', '.join(IMAGE_SUFFIXES)}"
        )
    labels, classes = class_numbers(names)
    return Shards(files, shards, members, labels, classes)


def open_webdataset(files: Sequence[Path], field: str, image_key: str, label_key: str) -> Shards:
    """Samples of tars in WebDataset's form.

    The image is the member NAME.image_key; with "image" it may be any of jpg, jpeg, png, webp. The label is
    NAME.label_key or a field of NAME.json; with "label" it may also be NAME.cls.
    """
    image_parts = [image_key.lower()] + [suffix[1:] for suffix in IMAGE_SUFFIXES if image_key == "image"]
    label_parts = [label_key.lower()] + ["cls"] * (label_key == "label")
    shards, members, labels = [], [], []
    for number, path in enumerate(files):
        for key, parts in _samples(path):
            where = f"{printable(str(path))}: sample {show(key)}"
            image = next((parts[part] for part in image_parts if part in parts), None)
            if image is None:
                known = ", ".join(sorted(parts))
                raise SpecError(
                    "data.image_key", f"{where} has no image: it has {known}, not {' or '.join(image_parts)}"
                )
            shards.append(number)
            members.append(image)
            labels.append(_label(path, parts, label_parts, label_key, where))
    if not members:
        raise SpecError(field, f"no samples in {printable(', '.join(map(str, files)))}")
    return Shards(files, shards, members, np.array(labels, np.int64), ())


def _samples(path: Path) -> Iterator[tuple[str, dict[str, Member]]]:
    """Neighbours with one name, up to the first dot of the last part, and what stands behind that dot."""
    key, parts = "", dict[str, Member]()
    for member in _members(path, into_tars=False):
        folder, slash, last = member.path.rpartition("/")
        name, _, part = last.partition(".")
        if not name or name.startswith("__"):  # of the archiver, or WebDataset's own notes
            continue
        this = folder + slash + name
        if this != key and parts:
            yield key, parts
            parts = {}
        key = this
        parts[part.lower()] = member
    if parts:
        yield key, parts


def _label(path: Path, parts: dict[str, Member], label_parts: Sequence[str], label_key: str, where: str) -> int:
    """The number in a member of its own, or in the JSON."""
    member = next((parts[part] for part in label_parts if part in parts), None)
    chosen = member or parts.get("json")
    if chosen is None:
        raise SpecError(
            "data.label_key", f"{where} has no label: it has {', '.join(sorted(parts))}, not {label_key} or json"
        )
    content = os.pread(_opened(str(path)).fileno(), chosen.size, chosen.start)
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise SpecError("data.label_key", f"{where}: {show(content)} is neither a whole number nor JSON") from None
    if member is None:
        if not isinstance(value, dict) or label_key not in value:
            raise SpecError("data.label_key", f"{where}: its JSON has no field {show(label_key)}")
        value = value[label_key]
    if type(value) is not int:
        raise SpecError("data.label_key", f"{where}: the label {show(value)} is not a whole number")
    return value


def _members(path: Path, *, into_tars: bool) -> Iterator[Member]:
    """The files of a tar in their order. Only their headers are read."""
    try:
        with tarfile.open(path, "r:") as archive:
            for member in _files(archive):
                stem, suffix = posixpath.splitext(member.name)
                if into_tars and suffix.lower() == ".tar":
                    with tarfile.open(fileobj=archive.extractfile(member), mode="r:") as inner:
                        for file in _files(inner):
                            start = member.offset_data + file.offset_data
                            yield Member(posixpath.join(stem, file.name), start, file.size)
                else:
                    yield Member(member.name, member.offset_data, member.size)
    except tarfile.TarError as error:
        raise DataError(f"{printable(str(path))} is damaged, or no plain tar: {error}") from None


def _files(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    follow: Callable[[], tarfile.TarInfo | None] = archive.next
    while (member := follow()) is not None:
        archive.members = []  # type: ignore[attr-defined]  # it would keep a million of them
        if member.isfile():
            yield member
