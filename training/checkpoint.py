"""The checkpoints of a run: the newest whole one is always there, whenever a process is killed or a disk is full.

Files are step_00001200.pt, see `checkpoint_file`; `index.json` beside them is for people.
"""

from __future__ import annotations

import errno
import json
import logging
import math
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from supernet.values import UserError, show

from .checkpoint_file import Record, UnusableError, beside, read_record, read_state, write_state

_NAME = re.compile(r"step_(\d{8,})\.pt")
_BESIDE = re.compile(r"\.(step_\d{8,}\.pt|index\.json)\.tmp-\d+")
_PLAIN = (int, float, bool, str, bytes, type(None), torch.Size, torch.dtype, torch.device)

logger = logging.getLogger("training")


class CheckpointError(UserError):
    """A checkpoint can't be written, or none can be continued from."""


class OtherRunError(CheckpointError):
    """A whole checkpoint, of a run with other options."""


def save_checkpoint(
    folder: Path, state: dict[str, Any], *, step: int, score: float | None = None, keep_last: int, keep_best: bool
) -> Path:
    """Writes the state after `step`, then removes all but the newest `keep_last` and the one with the highest score.

    The state is plain data and tensors; `state["written_for"]` says what it belongs to, see `load_latest`. Steps grow:
    a later one that is there was found unusable when the run continued, and goes. One process of a run saves. Raises
    CheckpointError if the file can't be written; those that were there stay.
    """
    _demand_plain(state, "state")
    path = folder / f"step_{step:08d}.pt"
    written_for = {str(key): str(value) for key, value in state.get("written_for", {}).items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.iterdir():
            if _BESIDE.fullmatch(left.name):  # of a process that was killed while it wrote
                left.unlink()
        write_state(path, state, step, _finite(score), written_for)
    except OSError as error:
        raise CheckpointError(_why_not_written(path, error)) from error
    _tidy(folder, step, keep_last, keep_best)
    return path


def load_latest(folder: Path, *, expect: Mapping[str, str]) -> tuple[dict[str, Any], Path] | None:
    """The newest state that is whole, on the CPU, and its file; None if there are no checkpoints.

    What is truncated, damaged or not ours is refused with a warning, and the one before it is taken. Raises
    CheckpointError if none is left, or if the newest whole one was written for something other than `expect`.
    """
    refused: list[str] = []
    for step, path in sorted(_by_step(folder).items(), reverse=True):
        try:
            record, state = read_state(path, step)
        except UnusableError as error:
            refused.append(f"{path}: {error}")
            logger.warning("%s: this checkpoint is refused: %s", path, error)
            continue
        _demand_same(path, record, expect)
        return state, path
    if not refused:
        return None
    raise CheckpointError("no checkpoint can be used: " + "; ".join(refused))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The state in one file, on the CPU. Raises CheckpointError with the reason if it isn't whole or not ours."""
    try:
        return read_state(path)[1]
    except UnusableError as error:
        raise CheckpointError(f"{path}: {error}") from None


def best_checkpoint(folder: Path) -> Path | None:
    """The file with the highest score, the newest of equals; None if none has one."""
    records: dict[Path, Record] = {}
    for path in _by_step(folder).values():
        try:
            records[path] = read_record(path)
        except UnusableError as error:
            logger.warning("%s: this checkpoint is refused: %s", path, error)
    return _best(records)


def _by_step(folder: Path) -> dict[int, Path]:
    if not folder.is_dir():
        return {}
    named = ((path, _NAME.fullmatch(path.name)) for path in sorted(folder.iterdir()))
    return {int(name[1]): path for path, name in named if name}


def _best(records: Mapping[Path, Record]) -> Path | None:
    scored = [(record.score, record.step, path) for path, record in records.items() if record.score is not None]
    return max(scored)[2] if scored else None


def _demand_same(path: Path, record: Record, expect: Mapping[str, str]) -> None:
    for key, value in expect.items():
        if record.written_for.get(key) != value:
            found = show(record.written_for[key]) if key in record.written_for else "not said"
            raise OtherRunError(
                f"{path} was written for another run: {key} is {found} there and {show(value)} here; "
                "take another run directory, or the options it was started with"
            )


def _tidy(folder: Path, step: int, keep_last: int, keep_best: bool) -> None:
    """Removes what isn't kept, then writes the index. Whatever goes wrong here, the new checkpoint is written."""
    try:
        records: dict[Path, Record] = {}
        for path in _by_step(folder).values():
            try:
                records[path] = read_record(path)
            except UnusableError:
                path.unlink()
        best = _best({path: record for path, record in records.items() if record.step <= step})
        past = sorted(path for path, record in records.items() if record.step <= step)
        keep = set(past[-keep_last:]) | ({best} if keep_best and best else set())
        for path in set(records) - keep:
            path.unlink()
        _write_index(folder, {path: records[path] for path in sorted(keep)})
    except OSError as error:
        logger.warning("%s: old checkpoints can't be tidied: %s", folder, error.strerror or error)


def _write_index(folder: Path, records: Mapping[Path, Record]) -> None:
    best = _best(records)
    rows = [{"file": path.name, "step": r.step, "score": r.score, "size_bytes": r.size} for path, r in records.items()]
    index = {"latest": rows[-1]["file"], "best": best.name if best else None, "checkpoints": rows}
    with beside(folder / "index.json") as file:
        file.write((json.dumps(index, indent=2) + "\n").encode())


def _why_not_written(path: Path, error: OSError) -> str:
    needed = getattr(error, "needed_bytes", None)
    room = ""
    if needed is not None:
        room = f"; it needs {_size(needed)}"
    if needed is not None and error.errno == errno.ENOSPC:
        free = shutil.disk_usage(path.parent).free
        room += f", {_size(free)} are free there"
        room += f": {_size(needed - free)} are missing" if needed > free else ""
    left = _by_step(path.parent)
    last = f"; the last good one is {left[max(left)].name}" if left else ""
    return f"{path}: the checkpoint can't be written: {error.strerror or error}{room}{last}"


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.2f} GB" if num_bytes >= 1e8 else f"{num_bytes / 1e6:.2f} MB"


def _finite(score: float | None) -> float | None:
    return None if score is None or not math.isfinite(score) else float(score)


def _demand_plain(value: Any, where: str) -> None:
    """What `torch.load(weights_only=True)` reads back; anything else would only be noticed when a run continues."""
    if isinstance(value, dict):
        for key, item in value.items():
            _demand_plain(key, f"a key of {where}")
            _demand_plain(item, f"{where}[{key!r}]")
    elif type(value) in (list, tuple, set):
        for index, item in enumerate(value):
            _demand_plain(item, f"{where}[{index}]")
    elif type(value) not in _PLAIN and not isinstance(value, torch.Tensor):
        kind = type(value).__name__
        raise TypeError(f"{where}: {kind} can't be kept in a checkpoint; plain data and tensors can")
