"""The command that measures whole networks side by side."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import Any

from supernet import SpecError
from supernet.values import printable
from supernet.whole_files import whole_file

from .command import make_device, protocol_of
from .devices.base import Facts
from .peers import Peer, measure_peers
from .protocol import Protocol

COLUMNS = (
    ("resolution", 11, "d"),
    ("params_m", 10, ".2f"),
    ("ms", 10, ".3f"),
    ("low_ms", 10, ".3f"),
    ("high_ms", 10, ".3f"),
    ("images_per_second", 18, ",.1f"),
)
PICTURES = (".svg", ".png", ".pdf")


def bench_command(args: argparse.Namespace) -> None:
    """A network that can't be measured is named, and does not stop the others."""
    _check_files(args)
    device, peers = make_device(args), [Peer(name, args.resolution) for name in args.models]
    rows, failed = measure_peers(peers, device, protocol_of(args.protocol, Protocol()), args.batch, args.jobs)
    if rows and args.json:
        print("\n".join(json.dumps(row | {"device": device.facts}) for row in rows))
    elif rows:
        _print(rows, device.facts)
    if rows and args.csv is not None:
        _write_csv(rows, args.csv)
    if rows and args.plot is not None:
        from .plots import draw_peers

        draw_peers(rows, str(device.facts["runtime"]), args.plot)
        print(f"drawn in {printable(str(args.plot))}", file=sys.stderr)
    for peer, reason in failed.items():
        print(f"failed: {printable(peer.name)}: {reason}", file=sys.stderr)
    if failed:
        raise SpecError("bench", f"{len(failed)} of {len(failed) + len(rows)} networks could not be measured")


def _check_files(args: argparse.Namespace) -> None:
    """Before minutes of measuring, not after them."""
    for option, path in (("--csv", args.csv), ("--plot", args.plot)):
        if path is not None and not path.parent.is_dir():
            raise SpecError(option, f"{printable(str(path.parent))} is no folder")
    if args.plot is not None and args.plot.suffix not in PICTURES:
        raise SpecError("--plot", f"{printable(args.plot.name)}: the suffix is not one of {', '.join(PICTURES)}")


def _print(rows: list[dict[str, Any]], facts: Facts) -> None:
    about = ", ".join(f"{name} {value}" if isinstance(value, int) else str(value) for name, value in facts.items())
    batch, jobs = rows[0]["batch"], rows[0]["jobs"]
    print(f"{about}; batch {batch}, {jobs} job{'s' * (jobs > 1)}")
    names = {row["model"]: printable(row["model"]) for row in rows}
    longest = max(map(len, names.values()))
    print("model".ljust(longest) + "".join(f"{name:>{width}}" for name, width, _ in COLUMNS))
    for row in sorted(rows, key=lambda row: row["ms"]):
        figures = (f"{row[name]:>{width}{kind}}" for name, width, kind in COLUMNS)
        print(names[row["model"]].ljust(longest) + "".join(figures))


def _write_csv(rows: list[dict[str, Any]], path: Path) -> None:
    with whole_file(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
