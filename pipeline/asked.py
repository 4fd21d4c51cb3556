"""What was asked for again and is not done yet: where it was stopped, the same command does the rest, not all of it."""

from __future__ import annotations

import json
from pathlib import Path

from supernet.whole_files import write_whole


def left(out: Path, names: set[str]) -> set[str]:
    """Of the stages that are asked for again now, those that were not done again before it was stopped."""
    try:
        found = json.loads(_file(out).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return names
    before = {str(name) for name in found} if isinstance(found, list) else set()
    return before if before and before <= names else names


class Asked:
    """`names` are those of stages that are asked for again now; empty where none is."""

    def __init__(self, out: Path, names: set[str]) -> None:
        self._out, self.left = out, left(out, names)
        self._write()

    def was_done(self, name: str) -> None:
        if name in self.left:
            self.left = self.left - {name}
            self._write()

    def _write(self) -> None:
        if self.left:
            write_whole(_file(self._out), json.dumps(sorted(self.left)))
        else:
            _file(self._out).unlink(missing_ok=True)


def _file(out: Path) -> Path:
    return out / "stages" / ".again"
