"""One run, one process that writes its folder: a second one is refused, and so is a folder of something else."""

from __future__ import annotations

import errno
import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from supernet.values import SpecError, printable

OTHERS = ("config.yaml", "log.jsonl", "environment.json", "checkpoints")
"""Names that a run takes for its own."""

logger = logging.getLogger("training")


@contextmanager
def claimed(folder: Path, ours: str) -> Iterator[None]:
    """The folder is there and nobody else's until the end. The system frees it where the process is killed. `ours`: the
    first file of a run of this kind that is written."""
    shown = printable(str(folder))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        foreign = [name for name in OTHERS if (folder / name).exists()]
        if foreign and not (folder / ours).exists():
            raise SpecError("--out", f"{shown} has a {foreign[0]} of something else; a run needs a folder of its own")
        lock = (folder / ".lock").open("a")
    except OSError as error:
        raise SpecError("--out", f"{shown} can't be written: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise SpecError("--out", f"another process works in {shown}") from None
            logger.warning("%s: a second process would not be noticed, as files can't be locked here", shown)
        yield
