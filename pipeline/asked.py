"""What was asked for again and is not done yet: where it was stopped, the same command does the rest, not all of it."""

from __future__ import annotations

import json
from pathlib import Path

from supernet.whole_files import write_whole


class Asked:
    """`names` are those of stages that are asked for again now; empty where none is."""

    def __init__(self, out: Path, names: set[str]) -> None:
        self._file = out / "stages" / ".again"
        before = self._read()
        self.left = before if before and before <= names else names
        self._write()

    def was_done(self, name: str) -> None:
        if name in self.left:
            self.left = self.left - {name}
            self._write()

    def _read(self) -> set[str]:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return set()
        return {str(name) for name in found} if isinstance(found, list) else set()

    def _write(self) -> None:
        if self.left:
            write_whole(self._file, json.dumps(sorted(self.left)))
        else:
            self._file.unlink(missing_ok=True)
