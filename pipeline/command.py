"""What `python -m pipeline` does: stage after stage, and the report."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from supernet.plain_yaml import write_yaml
from supernet.values import SpecError, did_you_mean, printable, show
from supernet.whole_files import write_whole
from training.claim import claimed
from training.environment import environment

from .asked import Asked, left
from .checking import check, check_measuring
from .doing import do, others, put_aside_others, why
from .reading import Pipeline, load_pipeline
from .records import Records
from .running import shown
from .saying import ended
from .stage import Stage, inputs
from .stages import stages

REPORT = "report"


def pipeline_command(args: argparse.Namespace) -> int:
    pipeline = load_pipeline(args.config, args.overrides)
    out: Path = args.out.expanduser()
    steps = stages(pipeline, out)
    only, again = _chosen(args.only, steps, "--only"), _chosen(args.again, steps, "--again")
    if out.exists() and not out.is_dir():
        raise SpecError("--out", f"{printable(str(out))} is a file; a pipeline has a folder")
    wanted = [stage for stage in steps if not only or stage.name in only]
    check(pipeline, with_images=any(stage.kind != "tables" for stage in wanted))
    if args.plan:
        return _show_plan(steps, wanted, left(out, again), Records(out), is_whole=not only)
    names = {stage.name for stage in wanted}
    check_measuring([one for one in pipeline.shared.devices if f"tables/{one.name}" in names], out)
    with claimed(out, "stages"):
        _begin(pipeline, out)
        if not only:
            put_aside_others(steps, Records(out))
        asked = Asked(out, again & names)
        began = time.monotonic()
        for number, stage in enumerate(steps, start=1):
            if stage not in wanted:
                continue
            try:
                where = f"[{number}/{len(steps) + 1}] {stage.name}"
                do(stage, number, where, Records(out), again=stage.name in asked.left)
                asked.was_done(stage.name)
            except KeyboardInterrupt:
                print(f"\nstopped in {stage.name}; the same command goes on", file=sys.stderr)
                return 130
        if not only or REPORT in only:
            from .report import write_report  # which opens images, and takes a while to import

            print(f"[{len(steps) + 1}/{len(steps) + 1}] {REPORT}: writes the page", flush=True)
            write_report(out)
        due = [stage for stage in steps if stage not in wanted and why(stage, inputs(stage), Records(out)) is not None]
        print(ended(pipeline, out, time.monotonic() - began, [stage.name for stage in due]), flush=True)
    return 0


def _chosen(names: Sequence[str], steps: Sequence[Stage], option: str) -> set[str]:
    """Names of stages, each device's and network's own."""
    known = [*dict.fromkeys(name for stage in steps for name in (stage.kind, stage.name)), REPORT]
    for name in names:
        if name not in known:
            raise SpecError(option, f"{show(name)} is no stage of this pipeline, {did_you_mean(name, known)}")
    asked = {stage.name for stage in steps if {stage.kind, stage.name} & set(names)}
    return asked | ({REPORT} & set(names))


def _begin(pipeline: Pipeline, out: Path) -> None:
    try:
        (out / "stages").mkdir(exist_ok=True)
        write_whole(out / "config.yaml", write_yaml(pipeline.plain()))
        write_whole(out / "environment.json", json.dumps(environment(), indent=1) + "\n")
    except OSError as error:
        raise SpecError("--out", f"{printable(str(out))} can't be written: {error.strerror}") from None


def _show_plan(
    steps: Sequence[Stage], wanted: Sequence[Stage], again: set[str], records: Records, is_whole: bool
) -> int:
    """What would be done, as far as it is known before the first stage runs."""
    changing: set[str] = set()
    for name in others(steps, records) if is_whole else ():
        print(f"{printable(name)}: not asked for any more, to be kept in {printable(str(records.earlier))}")
    for number, stage in enumerate(steps, start=1):
        if stage not in wanted:
            continue
        is_again, now = stage.name in again, inputs(stage)
        due = why(stage, now, records, again=is_again)
        state = "there already" if due is None else f"to do{f': {due.reason}' if due.reason else ''}"
        if due is not None and not is_again and (due.makes_place or records.of(stage.name) is None):
            found = records.earlier_of(stage, now)
            state += f"; goes on from {printable(str(found[0]))}, an earlier result" if found else ""
        read = sorted(stage.makers & changing)
        if due is None and read:
            state += f"; to do again if what it reads of {' and '.join(read)} becomes another"
        if due is not None or read:
            changing.add(stage.name)
        print(f"[{number}/{len(steps) + 1}] {stage.name}: {stage.title}: {state}")
        if due is not None:
            for command in stage.commands:
                print(f"    $ {shown(command)}")
    return 0
