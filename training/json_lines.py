"""The log of a run as JSON lines: one object a line, each step once however often the run was interrupted."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import IO, Any

from supernet.whole_files import whole_file

logger = logging.getLogger("training")


class JsonLines:
    """Appends to a file, after cutting off what is beyond `start_step`: the run continues there and writes it again.

    A line that a killed process left half-written is cut off too, and any other that is no JSON object with a step.
    """

    def __init__(self, path: Path, start_step: int) -> None:
        self._start_step = start_step
        self._kinds_at_start: set[str] = set()
        if path.exists():
            self._repair(path)
        self._file: IO[str] = path.open("a", encoding="utf-8")

    def write(self, kind: str, step: int, **values: Any) -> None:
        """One line, on the disk when this returns. What stands there from before the interruption isn't repeated."""
        if step == self._start_step and kind in self._kinds_at_start:
            return
        line = json.dumps(finite({"kind": kind, "step": step} | values), ensure_ascii=False, allow_nan=False)
        self._file.write(line + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def _repair(self, path: Path) -> None:
        dropped = 0
        with path.open("rb") as old, whole_file(path) as beside, beside.open("wb") as new:
            for line in old:
                record = _record(line)
                if record is None:
                    dropped += 1
                elif record["step"] <= self._start_step:
                    new.write(line)
                    if record["step"] == self._start_step:
                        self._kinds_at_start.add(str(record.get("kind")))
        if dropped:
            logger.warning("%s: %d half-written line%s cut off", path, dropped, "" if dropped == 1 else "s")


def _record(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    has_step = isinstance(record, dict) and type(record.get("step")) is int
    return record if has_step else None


def finite(value: Any) -> Any:
    """The same, with null for numbers that JSON doesn't have; numpy's and torch's numbers become Python's."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
