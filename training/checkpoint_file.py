"""One checkpoint as a file: what `torch.save` writes, and after it a record with length and checksum.

The record says what the file is (step, score, what it was written for). A truncation or a flipped bit is seen before
anything is unpickled, and `torch.load` reads the file as if the record weren't there.
"""

from __future__ import annotations

import json
import mmap
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import msgspec
import torch

from supernet.values import first_line
from supernet.weights.pickles import look_through

_END = b"slimfor1"
_TAIL_BYTES = 4 + 4 + len(_END)
"""After the record: its checksum, its length, and the mark of the format."""


class UnusableError(Exception):
    """A file that is not a whole checkpoint of ours, and why."""


@dataclass(frozen=True)
class Record:
    """`size` and `crc32` are those of what torch wrote, without the record."""

    step: int
    score: float | None
    written_for: dict[str, str]
    size: int = 0
    crc32: int = 0


def write_state(path: Path, state: dict[str, Any], step: int, score: float | None, written_for: dict[str, str]) -> None:
    """Raises OSError, whose `needed_bytes` says how large the file would have become."""
    with beside(path) as file:
        torch.save(state, cast(IO[bytes], file))
        written = json.dumps(vars(Record(step, score, written_for, file.size, file.crc32))).encode()
        file.write(written + zlib.crc32(written).to_bytes(4, "little") + len(written).to_bytes(4, "little") + _END)


def read_state(path: Path, step: int | None = None) -> tuple[Record, dict[str, Any]]:
    """The whole of a file, on the CPU. Raises UnusableError; where `step` is given, for another step too."""
    try:
        record = read_record(path)
        if step not in (None, record.step):
            raise UnusableError(f"it holds step {record.step}, not what its name says")
        with path.open("rb") as file, mmap.mmap(file.fileno(), record.size, access=mmap.ACCESS_READ) as content:
            if zlib.crc32(content) != record.crc32:
                raise UnusableError("its content doesn't match its checksum: damaged")
            look_through(file)
            state = torch.load(cast(IO[bytes], content), map_location="cpu", weights_only=True)
    except UnusableError:
        raise
    except OSError as error:
        raise UnusableError(f"it can't be read: {error.strerror or error}") from None
    except Exception as error:  # what isn't from PyTorch makes its reader fail in many ways
        raise UnusableError(f"this PyTorch ({torch.__version__}) can't read it: {first_line(error)}") from None
    if not isinstance(state, dict):
        raise UnusableError(f"it holds {type(state).__name__}, not the state of a run")
    return record, state


def read_record(path: Path) -> Record:
    """The record at the end. Raises UnusableError if the file isn't as long as that says; reads nothing else."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _TAIL_BYTES))
        tail = file.read()
        if len(tail) < _TAIL_BYTES or not tail.endswith(_END):
            raise UnusableError("it doesn't end as a checkpoint does: truncated, or not one of ours")
        crc32, length = int.from_bytes(tail[:4], "little"), int.from_bytes(tail[4:8], "little")
        file.seek(max(0, size - _TAIL_BYTES - length))
        written = file.read(length)
    if zlib.crc32(written) != crc32:
        raise UnusableError("the record at its end is damaged")
    try:
        record = msgspec.json.decode(written, type=Record)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnusableError(f"the record at its end is none: {first_line(error)}") from None
    whole = record.size + length + _TAIL_BYTES
    if whole != size:
        raise UnusableError(f"it has {size:,} bytes, but {whole:,} were written")
    return record


class Writer:
    """What torch.save writes to: counts, adds up the checksum, and keeps an error for later.

    torch writes from C++, where an exception in the middle can end the process; so after an error the rest is only
    counted, which also says how much room the whole file needs.
    """

    def __init__(self, file: Any) -> None:
        self.size = 0
        self.crc32 = 0
        self._file = file
        self._error: OSError | None = None

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        count = len(view)
        self.size += count
        self.crc32 = zlib.crc32(view, self.crc32)
        try:
            while view and self._error is None:
                view = view[self._file.write(view) :]  # the system takes at most 2 GiB at once
        except OSError as error:
            self._error = error
        return count

    def flush(self) -> None:
        """torch.save asks for it; nothing is held back here."""

    def stop_if_failed(self) -> None:
        if self._error is not None:
            self._error.needed_bytes = self.size  # type: ignore[attr-defined]
            raise self._error


@contextmanager
def beside(path: Path) -> Iterator[Writer]:
    """A file that gets its name when all of it is on the disk, and is removed if anything fails before."""
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        with temporary.open("wb", buffering=0) as file:
            writer = Writer(file)
            yield writer
            writer.stop_if_failed()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """So that the new name is on the disk too."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
