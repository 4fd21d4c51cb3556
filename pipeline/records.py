"""What was done before: a record of each stage, why it doesn't hold any more, and older results put aside.

stages/<name>.json      of what is in the stage's folder
earlier/<name>-<id>/    a result of other inputs, with its record; it comes back when those are asked for again
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from supernet.values import UserError, printable, show
from supernet.whole_files import write_whole

from .stage import Stage, counted

RECORD = "record.json"
"""Of an earlier result, in its folder."""


@dataclass
class Record:
    number: int
    name: str
    title: str
    commands: list[str]
    inputs: dict[str, Any]
    started: str
    finished: str | None = None
    seconds: float = 0.0
    """Of all starts that it took."""


class Records:
    """Of a folder of the pipeline."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.earlier = out / "earlier"

    def names(self) -> set[str]:
        """Of the stages that were begun."""
        found = [_read(file) for file in (self.out / "stages").glob("*.json")]
        return {record.name for record in found if record is not None and _is_inside(record.name)}

    def of(self, name: str) -> Record | None:
        """None where the stage was never begun. A record that can't be read is as good as none."""
        return _read(self._file(name))

    def write(self, record: Record) -> None:
        self._file(record.name).parent.mkdir(parents=True, exist_ok=True)
        write_whole(self._file(record.name), _text(record))

    def put_aside(self, name: str, folder: Path) -> None:
        """Its folder makes place; what lies there is among the earlier ones then. A finished result goes before one of
        the same inputs that was not finished."""
        record = self.of(name)
        if folder.exists():
            if record is None:
                why = "is not from this pipeline"
                if self._file(name).exists():
                    why = f"has a record that can't be read, {printable(str(self._file(name)))}"
                raise UserError(f"{printable(str(folder))} {why}: move it away, or name another folder")
            aside = self._aside(name, record.inputs)
            earlier = _read(aside / RECORD)
            if record.finished is None and earlier is not None and earlier.finished is not None:
                shutil.rmtree(folder)
            else:
                shutil.rmtree(aside, ignore_errors=True)
                aside.parent.mkdir(parents=True, exist_ok=True)
                write_whole(folder / RECORD, _text(record))  # first: a folder without a record is nobody's
                folder.rename(aside)
        self._file(name).unlink(missing_ok=True)

    def bring_back(self, stage: Stage, wanted: Mapping[str, Any]) -> bool:
        """Whether an earlier result of these inputs, or one to go on from, is in its place again."""
        found = self.earlier_of(stage, wanted)
        if stage.folder.exists() or found is None:
            return False
        aside, record = found
        stage.folder.parent.mkdir(parents=True, exist_ok=True)
        self.write(record)
        aside.rename(stage.folder)
        (stage.folder / RECORD).unlink()
        return True

    def earlier_of(self, stage: Stage, wanted: Mapping[str, Any]) -> tuple[Path, Record] | None:
        """The folder of one that was put aside; of the same inputs before others."""
        found = []
        for aside in sorted(self.earlier.glob(f"{_flat(stage.name)}-*")):
            record = _read(aside / RECORD)
            if record is not None and record.name == stage.name:
                changed = [name for name, _ in changes(counted(stage, record.inputs), wanted)]
                if not stage.makes_place(changed):
                    found.append((len(changed), record.finished is None, aside, record))
        return min(found, key=lambda one: one[:2])[2:] if found else None

    def _file(self, name: str) -> Path:
        return self.out / "stages" / f"{_flat(name)}.json"

    def _aside(self, name: str, inputs: Mapping[str, Any]) -> Path:
        text = json.dumps(inputs, sort_keys=True)
        return self.earlier / f"{_flat(name)}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _flat(name: str) -> str:
    return name.replace("/", "_")


def _is_inside(name: str) -> bool:
    """Whether a stage could have this name; its folder lies in that of the pipeline, whoever wrote the record."""
    return re.fullmatch(r"[a-z]+(/(?!\.\.?$)[^/\0]{1,200})?", name) is not None


def _text(record: Record) -> str:
    return json.dumps(asdict(record), indent=1) + "\n"


def _read(path: Path) -> Record | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except (OSError, ValueError, RecursionError, msgspec.MsgspecError):
        return None


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What changed: its name, and a clause that says how."""
    for name in dict.fromkeys([*before, *now]):
        old, new = before.get(name), now.get(name)
        if old == new and (name in before) == (name in now):
            continue
        shown = printable(name.removeprefix("file "))
        if not name.startswith("file "):
            yield name, f"{shown} was {show(old)}, now {show(new)}"
        elif name not in before or name not in now:
            yield name, f"{shown} is {'new' if name in now else 'read no more'}"
        else:
            yield name, f"{shown} {'changed' if new else 'is not there'}"
