"""Folders that are there as a whole or not at all, and the hash of what is in them."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from supernet.values import printable
from supernet.whole_files import path_beside

from .errors import ExportError


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """An empty folder beside `path` that takes its name, and its place, when the block ends without an error."""
    temporary, old = path_beside(path), path_beside(path, "old")
    with writing(path):
        temporary.mkdir()
    try:
        yield temporary
        with writing(path):
            if path.exists():
                path.rename(old)
            try:
                temporary.rename(path)
            except BaseException:
                if old.exists():
                    old.rename(path)
                raise
    finally:
        for left_over in (temporary, old):
            shutil.rmtree(left_over, ignore_errors=True)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ExportError(f"{printable(str(path))} can't be written: {error.strerror or error}") from None


def content_hash(path: Path) -> str:
    """SHA-256 of a file, or of the relative names and contents of all files below a folder."""
    whole = hashlib.sha256()
    if path.is_file():
        return _file_hash(path)
    for file in sorted(path.rglob("*"), key=lambda file: file.relative_to(path).as_posix()):
        if file.is_file():
            whole.update(f"{file.relative_to(path).as_posix()}\n{_file_hash(file)}\n".encode())
    return whole.hexdigest()


def content_bytes(path: Path) -> int:
    return path.stat().st_size if path.is_file() else sum(f.stat().st_size for f in path.rglob("*") if f.is_file())


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
