"""Files that are there as a whole or not at all: written beside, and renamed when all is there."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


def write_whole(path: str | Path, content: str | bytes) -> None:
    with whole_file(path) as beside:
        beside.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A path beside: the file that is written there takes the name of `path` when the block ends without an error, and
    is removed otherwise. An OSError names `path`."""
    path = Path(path)
    beside = path_beside(path)
    try:
        yield beside
        beside.replace(path)
    except OSError as error:
        if error.filename is not None and str(error.filename) == str(beside):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        beside.unlink(missing_ok=True)


def path_beside(path: Path, word: str = "tmp") -> Path:
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
