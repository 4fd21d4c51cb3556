"""The commands that bring tables in and out, and compare them."""

from __future__ import annotations

import argparse
from pathlib import Path

from supernet.values import SpecError, printable

from .command import TOOL
from .phone_commands import import_mlperf, import_results
from .table.exchange import add_rows, compare, merge, read_rows, write_rows
from .table.latencies import Latencies
from .table.store import Store


def dump_command(args: argparse.Namespace) -> None:
    with Store(args.table) as store:
        number = write_rows(store, args.file)
    print(f"{number:,} rows in {printable(str(args.file))}")


def import_command(args: argparse.Namespace) -> None:
    """What is in the table already stays as it is."""
    if args.plan is not None:
        import_results(args.table, args.plan, args.files)
        return
    reports = [file for file in args.files if file.suffix == ".mlperf"]
    if reports:
        if args.spec is None or len(args.files) > 1:
            raise SpecError("--spec", "a .mlperf report is imported alone, with the network that it is about")
        import_mlperf(args.table, reports[0], args.spec)
        return
    with Store(args.table, create=True) as store:
        for file in args.files:
            number = _import(store, file)
            print(f"{number:,} new rows of {printable(str(file))} in {printable(str(args.table))}")


def _import(store: Store, file: Path) -> int:
    if file.suffix in (".csv", ".jsonl"):
        return add_rows(store, read_rows(file), TOOL)
    with Store(file) as other:
        return merge(store, other, TOOL)


def diff_command(args: argparse.Namespace) -> None:
    with Store(args.table) as store, Store(args.table2 or args.table) as other:
        first, second = store.find(args.first), other.find(args.second)
        ratios = compare(Latencies(store, first), Latencies(other, second))
    print(f"first:  {first}\nsecond: {second}\n")
    print(f"{'kind':<28}{'units':>7}{'second / first':>16}  middle half")
    for ratio in ratios:
        print(f"{ratio.kind:<28}{ratio.units:>7}{ratio.median:>16.3f}  {ratio.low:.3f} to {ratio.high:.3f}")
