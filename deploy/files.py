"""Files and folders that are there as a whole or not at all, and the hash of what is in them."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from supernet.values import printable

from .errors import ExportError


def write_whole(path: Path, content: bytes) -> None:
    """Written beside and renamed, so that a reader never sees half a file."""
    temporary = _beside(path)
    with writing(path):
        try:
            temporary.write_bytes(content)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """An empty folder beside `path` that takes its name, and its place, when the block ends without an error."""
    temporary, old = _beside(path), _beside(path, "old")
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


def _beside(path: Path, word: str = "tmp") -> Path:
    """A name for this process alone. What a killed one left behind is removed by the next that writes this path."""
    for left_over in path.parent.glob(f".{glob.escape(path.name)}.{word}-*"):
        if not _is_running(left_over.name.rpartition("-")[2]):
            shutil.rmtree(left_over, ignore_errors=True)
            left_over.unlink(missing_ok=True)
    return path.with_name(f".{path.name}.{word}-{os.getpid()}")


def _is_running(pid: str) -> bool:
    """Another process. A number of our own that is already taken is from an earlier start of the machine."""
    if not pid.isdigit() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True  # it runs, for another user
    return True
