"""What was done before: a record of each stage, why it doesn't hold any more, and older results put aside.

stages/<name>.json      of what is in the stage's folder
earlier/<name>-<id>/    a result of other inputs, with its record; it comes back when those are asked for again
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from supernet.values import UserError, printable, show
from supernet.whole_files import write_whole

from .stage import Stage

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
                raise UserError(
                    f"{printable(str(folder))} is not from this pipeline: move it away, or name another folder"
                )
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
        """Whether an earlier result of the same inputs is in its place again."""
        aside = self._aside(stage.name, wanted)
        record = _read(aside / RECORD)
        if stage.folder.exists() or record is None:
            return False
        stage.folder.parent.mkdir(parents=True, exist_ok=True)
        self.write(record)
        aside.rename(stage.folder)
        (stage.folder / RECORD).unlink()
        return True

    def _file(self, name: str) -> Path:
        return self.out / "stages" / f"{name.replace('/', '_')}.json"

    def _aside(self, name: str, inputs: Mapping[str, Any]) -> Path:
        text = json.dumps(inputs, sort_keys=True)
        return self.earlier / f"{name.replace('/', '_')}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _is_inside(name: str) -> bool:
    """Whether a folder of this name lies in that of the pipeline: a record may come from anybody."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and path.parts != ()


def _text(record: Record) -> str:
    return json.dumps(asdict(record), indent=1) + "\n"


def _read(path: Path) -> Record | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except (OSError, ValueError, msgspec.MsgspecError):
        return None


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What changed: its name, and a clause that says how."""
    for name in dict.fromkeys([*before, *now]):
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if name.startswith("file "):
            how = "changed" if old and new else "is new" if new else "is gone"
            yield name, f"{printable(name.removeprefix('file '))} {how}"
        else:
            yield name, f"{printable(name)} was {show(old)}, now {show(new)}"
