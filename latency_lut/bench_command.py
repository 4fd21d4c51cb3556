"""The command that measures whole networks side by side."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import Any

from supernet.values import printable
from supernet.whole_files import whole_file

from .command import make_device, protocol_of
from .peers import Peer, measure_peers
from .protocol import Protocol

COLUMNS = (
    ("model", 34, "s"),
    ("resolution", 11, "d"),
    ("params_m", 10, ".2f"),
    ("ms", 10, ".3f"),
    ("low_ms", 10, ".3f"),
    ("high_ms", 10, ".3f"),
    ("images_per_second", 18, ",.1f"),
)


def bench_command(args: argparse.Namespace) -> None:
    device = make_device(args)
    peers = [Peer(name, args.resolution) for name in args.models]
    for peer in peers:
        peer.shape  # noqa: B018  an unknown name is said before anything is measured
    rows = measure_peers(peers, device, protocol_of(args.protocol, Protocol()), args.batch, args.jobs)
    if args.json:
        print("\n".join(json.dumps(row | {"device": device.facts}) for row in rows))
    else:
        facts = ", ".join(
            f"{name} {value}" if isinstance(value, int) else str(value) for name, value in device.facts.items()
        )
        print(f"{facts}; batch {args.batch}, {args.jobs} job{'s' * (args.jobs > 1)}")
        print("".join(f"{name:<{width}}" if kind == "s" else f"{name:>{width}}" for name, width, kind in COLUMNS))
        for row in sorted(rows, key=lambda row: row["ms"]):
            print("".join(f"{row[name]:{'<' if kind == 's' else '>'}{width}{kind}}" for name, width, kind in COLUMNS))
    if args.csv is not None:
        _write_csv(rows, args.csv)
    if args.plot is not None:
        from .plots import draw_peers

        draw_peers(rows, str(device.facts["runtime"]), args.plot)
        print(f"drawn in {printable(str(args.plot))}", file=sys.stderr)


def _write_csv(rows: list[dict[str, Any]], path: Path) -> None:
    with whole_file(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
