"""One stage: whether it is due and why, what becomes of an older result, and its commands."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from supernet.values import UserError, printable
from supernet.whole_files import write_whole

from .records import Record, Records, changes
from .running import CommandError, run, shown
from .saying import seconds_in_words
from .stage import Command, Stage, counted, inputs, maker

NAMED = 4
"""Changes that are said; of more, their number."""


@dataclass(frozen=True)
class Due:
    """Why a stage has to run, and whether what lies in its folder has to go first."""

    reason: str
    makes_place: bool = False


ASKED_FOR = Due("asked for again", makes_place=True)
GOES_ON = Due("goes on")


def why(stage: Stage, wanted: dict[str, Any], records: Records, *, again: bool = False) -> Due | None:
    """None where the result is there and holds. What is asked for again and half done goes on."""
    due = _why(stage, wanted, records)
    return ASKED_FOR if again and due != GOES_ON else due


def _why(stage: Stage, wanted: dict[str, Any], records: Records) -> Due | None:
    record = records.of(stage.name)
    if record is None:
        return Due("", makes_place=stage.folder.exists())
    changed = list(changes(counted(stage, record.inputs), wanted))
    if changed:
        words = "; ".join(clause for _, clause in changed[:NAMED])
        more = f"; and {len(changed) - NAMED} more" if len(changed) > NAMED else ""
        return Due(words + more, makes_place=stage.makes_place(name for name, _ in changed))
    if record.finished is None:
        return GOES_ON
    lost = [path for path in stage.makes if not path.exists()]
    return Due(f"{printable(str(lost[0]))} is missing") if lost else None


def do(stage: Stage, number: int, where: str, records: Records, *, again: bool = False) -> None:
    """`where` is the head of what it says; `again`: as if it had not been done."""
    _check_reads(stage)
    wanted = inputs(stage)
    for path, text in stage.written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    due = why(stage, wanted, records, again=again)
    if due is not None and due.makes_place:
        records.put_aside(stage.name, stage.folder)
    if due is not None and not again and records.of(stage.name) is None and records.bring_back(stage, wanted):
        print(f"{where}: an earlier result is in its place again", flush=True)
        due = why(stage, wanted, records)
    before = records.of(stage.name)
    if due is None:
        if before is not None and before.number != number:
            records.write(replace(before, number=number))
        print(f"{where}: there already, in {printable(str(stage.folder))}", flush=True)
        return
    print(f"{where}: {stage.title}{f' ({due.reason})' if due.reason else ''}", flush=True)
    record = Record(
        number,
        stage.name,
        stage.title,
        [shown(command) for command in stage.commands],
        wanted,
        _now(),
        seconds=0.0 if before is None else before.seconds,
    )
    records.write(record)
    stage.folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    _run_commands(stage, record, records)
    print(f"    {seconds_in_words(time.monotonic() - began)}, in {printable(str(stage.folder))}", flush=True)


def others(stages: Sequence[Stage], records: Records) -> list[str]:
    """What was begun and is none of these: a device, or a network to compare with, that the config has no more. A table
    that a config names stays, wherever it lies."""
    read = [path.absolute() for stage in stages for path in stage.reads.values()]
    found = sorted(records.names() - {stage.name for stage in stages})
    return [name for name in found if not any(path.is_relative_to((records.out / name).absolute()) for path in read)]


def put_aside_others(stages: Sequence[Stage], records: Records) -> None:
    for name in others(stages, records):
        records.put_aside(name, records.out / name)
        print(f"{printable(name)}: not asked for any more, and kept in {printable(str(records.earlier))}", flush=True)


def _run_commands(stage: Stage, record: Record, records: Records) -> None:
    began, before = time.monotonic(), record.seconds
    try:
        for command in stage.commands:
            print(f"    $ {shown(command)}", flush=True)
            _run(command, stage)
        missing = [path for path in stage.makes if not path.exists()]
        if missing:
            raise UserError(f"{stage.name}: {printable(str(missing[0]))} is not there, but all commands ended well")
        record.finished = _now()
    finally:
        record.seconds = before + time.monotonic() - began
        records.write(record)


def _run(command: Command, stage: Stage) -> None:
    try:
        run(command)
    except CommandError as error:
        files = "".join(f"; its options, made of the config: {printable(str(file))}" for file in stage.written)
        raise UserError(f"{stage.name}: {error}{files}") from None


def _now() -> str:
    return datetime.now().replace(microsecond=0).isoformat()


def _check_reads(stage: Stage) -> None:
    for name, path in {**stage.reads, **stage.needs}.items():
        if not path.exists():
            raise UserError(f"{stage.name}: {printable(str(path))} is missing, {_maker(name)}")


def _maker(name: str) -> str:
    kind = maker(name)
    other = ", or say data.num_classes" if name == "supernet/space.yaml" else ""
    return f"which the stage {kind} makes: --only {kind}{other}" if kind else "which the config names"
