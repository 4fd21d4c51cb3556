"""A new device from few measurements: how far off its networks are when the units are those of a known device."""

from __future__ import annotations

import argparse
import json
import random
from typing import Any

import numpy as np

from .fitting import LEAST
from .lookup import LatencyTable, fit_of
from .table.store import TableError

SIZES = (5, 10, 20, 40)
REPEATS = 30


def transfer_errors(known: LatencyTable, new: LatencyTable, seed: int = 0) -> list[dict[str, Any]]:
    """For each number of measured networks: the relative error of the others, over random choices of the measured."""
    networks = new.known_networks
    if len(networks) < LEAST + 4:
        raise TableError(f"{new.path}: {len(networks)} networks whose units {known.path} has are too few")
    rng, rows = random.Random(seed), []
    for size in (size for size in SIZES if LEAST <= size <= len(networks) - 3):
        errors: list[float] = []
        for _ in range(REPEATS):
            drawn = rng.sample(networks, len(networks))
            found = fit_of(drawn[:size])
            errors += [abs(found.latency_ms(one.parts_ms) / one.ms - 1) for one in drawn[size:]]
        rows.append(
            {
                "networks": size,
                "mape": float(np.mean(errors)),
                "within_10": float(np.mean(np.array(errors) <= 0.1)),
                "worst_tenth": float(np.quantile(errors, 0.9)),
            }
        )
    return rows


def transfer_command(args: argparse.Namespace) -> None:
    known = LatencyTable(args.known, args.known_device)
    new = LatencyTable(args.table, args.device, units_from=known)
    rows = transfer_errors(known, new)
    if args.json:
        print("\n".join(map(json.dumps, rows)))
        return
    print(f"units of {known.collection}\nnetworks on {new.collection}\n")
    print(f"{'measured networks':>18}{'mean error':>12}{'within 10 %':>13}{'nine of ten within':>20}")
    for row in rows:
        print(f"{row['networks']:>18}{row['mape']:>12.2%}{row['within_10']:>13.1%}{row['worst_tenth']:>20.1%}")
