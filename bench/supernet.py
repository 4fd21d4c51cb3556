"""What a supernet costs beside static networks: passes, whole steps, memory, recalibration.

    python bench/supernet.py [--spaces efficientformerv2 iformer] [--pairs 8] [--threads 1] [--device cuda] [--json]

Each pair times ours and the static side once, in alternating order. A ratio is the median over the pairs of ours /
static, so that a machine whose speed drifts does not decide; the spread is that of the middle half of the pairs. With
one thread, times are those that the process had the processor.

On the CPU: batch 16 at 160 pixels, and one image at 96. On a GPU: batch 256 at 224 pixels in bf16, and images a second
beside timm. All on one CPU thread takes about three quarters of an hour; --quick tries everything out, in a minute or
two a space, and measures nothing well.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.overhead.calibration import compare_calibration
from bench.overhead.memory import can_measure, compare_memory
from bench.overhead.passes import compare_passes
from bench.overhead.report import TITLES, say, say_targets
from bench.overhead.setting import Setting
from bench.overhead.steps import assembling, compare_steps
from bench.overhead.targets import ELSEWHERE, Row, results
from bench.overhead.throughput import compare_throughput
from supernet import SpecError, load_space

Measure = Callable[[Setting], Iterable[Row]]


def setting_of(space: str, args: argparse.Namespace) -> Setting:
    found = Setting(space, pairs=args.pairs)
    if args.device == "cuda":
        found = replace(found, device="cuda", amp="bf16", batch=256, pixels=224)
    if args.quick:
        found = replace(found, batch=4, pixels=160, pairs=min(args.pairs, 3), random=1, calibration=2)
    return found


def measure_all(args: argparse.Namespace, show: Callable[[str, Iterable[Row]], list[Row]]) -> list[Row]:
    repeats = 1 if args.quick else 3
    rows: list[Row] = []
    for space in args.spaces:
        setting = setting_of(space, args)
        measures: list[tuple[str, Measure, Setting]] = [
            ("passes", compare_passes, setting),
            ("small", compare_passes, setting.small()),
            ("steps", compare_steps, setting),
            ("assembling", assembling, setting),
            ("memory", lambda setting: compare_memory(setting, repeats), setting),
            ("calibration", compare_calibration, setting),
            ("throughput", compare_throughput, setting),
        ]
        for table, measure, under in measures:
            if table in args.tables:
                rows += show(table, measure(under))
    return rows


def as_json(_: str, rows: Iterable[Row]) -> list[Row]:
    found = []
    for row in rows:
        print(json.dumps(row), flush=True)
        found.append(row)
    return found


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add: Any = parser.add_argument
    add("--spaces", nargs="+", default=["efficientformerv2", "iformer"], metavar="SPACE", help="names or files")
    add("--tables", nargs="+", choices=tuple(TITLES), help="only these (default all; throughput only with cuda)")
    add("--pairs", type=int, default=8, help="timed pairs a row (default 8; of small batches more)")
    add("--threads", type=int, default=1, help="CPU threads (default 1)")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="default cpu")
    add("--json", action="store_true", help="one JSON object a row instead of tables")
    add("--quick", action="store_true", help="few pairs, small batches, few members")
    args = parser.parse_args(arguments)
    if args.pairs < 1:
        parser.error(f"--pairs {args.pairs}: at least 1 is needed")
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: PyTorch finds no GPU here")
    for space in args.spaces:
        try:
            load_space(space)
        except SpecError as error:
            parser.error(f"--spaces: {error}")
    if args.tables is None:
        left_out = {"throughput"} if args.device == "cpu" else set()
        left_out |= set() if can_measure(args.device) else {"memory"}
        args.tables = [table for table in TITLES if table not in left_out]
    elif "memory" in args.tables and not can_measure(args.device):
        parser.error("--tables memory: on the CPU it is read from /proc/self/status, which only Linux has")
    return args


def main() -> None:
    args = parse()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True  # as in training
    rows = measure_all(args, as_json if args.json else say)
    met = results(rows)
    if args.json:
        as_json("targets", [*met, *({"table": "elsewhere", **known} for known in ELSEWHERE)])
    elif met:
        say_targets(met)


if __name__ == "__main__":
    main()
