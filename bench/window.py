"""How many networks a second are drawn from a latency window of 1 %, beside drawing from the whole space and rejecting.

    python bench/window.py [--spaces efficientformerv2 iformer] [--table FILE] [--number 100000] [--json]

Windows begin at quantiles of what the space's own sampler draws. Figures are networks inside the window per second of
processor time, on one core:
  choices, networks   `search.exact`, with both weightings; the median of five runs
  rejecting many      thousands drawn and looked up at once, and those outside thrown away
  one by one          the same with `space.sample` and a sum over its units in Python, as published code samples:
                      AttentiveNAS's finds 20 a second in a window of +-5 M MACs
For the last two it is tries a second times the share of the draws that is inside.
Without a table the latency is made up: 10 us a unit and a power of its MACs. `start` is what has to be built before the
first network is drawn, for both weightings.
"""

from __future__ import annotations

import argparse
import functools
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from latency_lut.lookup import LatencyTable
from latency_lut.units import Unit, unit_cost, units
from search.codes import Codes
from search.exact import CostDistribution
from supernet import Space, load_space

QUANTILES = (0.001, 0.05, 0.5, 0.95)
WIDTH = 0.01
RUNS = 5
PROBES = 1000


def made_up_ms(unit: Unit) -> float:
    return 0.01 + 3e-8 * float(unit_cost(unit).macs) ** 0.8


def seconds(what: Callable[[], object]) -> float:
    start = time.process_time()
    what()
    return time.process_time() - start


def one_by_one_tries(space: Space, cost: Callable[[Unit], float]) -> float:
    """A second."""
    rng, known = random.Random(0), functools.cache(cost)

    def tries(number: int) -> None:
        for _ in range(number):
            sum(known(unit) for unit in units(space.sample(rng)))

    tries(PROBES)  # after that, few units and options are new
    return PROBES / seconds(lambda: tries(PROBES))


def rows(name: str, table: Path | None, number: int) -> Iterator[dict[str, Any]]:
    space, cost, offset = load_space(name), made_up_ms, 0.1
    if table is not None:
        measured = LatencyTable(table)
        fit, offset = measured.fit, measured.fit.offset_ms
        cost = functools.cache(lambda unit: fit.weight(unit.kind) * measured.unit_ms(unit))
    codes, rng = Codes(space), np.random.default_rng(0)
    start = time.process_time()
    exact = CostDistribution(space, cost, offset)
    for weighting in ("choices", "networks"):
        exact.draw(rng, 1, -np.inf, np.inf, weighting)
    start_s = time.process_time() - start
    codes.draw(rng, 1)  # the first time, placements are made that others are taken from
    start = time.process_time()
    costs = exact.population(codes.draw(rng, number))
    tries = number / (time.process_time() - start)
    one_by_one = one_by_one_tries(space, cost)
    for quantile in QUANTILES:
        low = float(np.quantile(costs, quantile))
        high = low * (1 + WIDTH)
        share = float(((costs >= low) & (costs <= high)).mean())
        speeds = {}
        for weighting in ("choices", "networks"):
            draw = functools.partial(exact.draw, rng, number, low, high, weighting)
            speeds[weighting] = number / statistics.median(seconds(draw) for _ in range(RUNS))
        yield {
            "space": name,
            "quantile": quantile,
            "low_ms": low,
            "high_ms": high,
            "share": share,
            **speeds,
            "rejecting_many": tries * share,
            "one_by_one": one_by_one * share,
            "grid_error_ms": exact.grid_error,
            "start_s": start_s,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spaces", nargs="+", default=["efficientformerv2", "iformer"], metavar="SPACE")
    parser.add_argument("--table", type=Path, help="a latency table that has all units of the spaces")
    parser.add_argument("--number", type=int, default=100_000, help="networks of a run (default 100,000)")
    parser.add_argument("--json", action="store_true", help="one JSON object a row instead of a table")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if not args.json:
        columns = ("choices", "networks", "rejecting many", "one by one")
        print(f"{'space':<18}{'window, ms':>18}{'share':>9}" + "".join(f"{name:>16}" for name in columns))
    for name in args.spaces:
        found = list(rows(name, args.table, args.number))
        for row in found:
            if args.json:
                print(json.dumps(row))
                continue
            speeds = "".join(
                f"{row[key]:>16,.0f}" if row[key] >= 100 else f"{row[key]:>16.1f}"
                for key in ("choices", "networks", "rejecting_many", "one_by_one")
            )
            window = f"{row['low_ms']:.4f} to {row['high_ms']:.4f}"
            print(f"{name:<18}{window:>18}{row['share']:>9.3%}{speeds}")
        if not args.json:
            about = found[0]
            print(f"{name}: start {about['start_s']:.2f} s, grid error at most {about['grid_error_ms']:.6f} ms")
    if not args.json:
        print("AttentiveNAS's sampler, in a window of +-5 M MACs: 20 a second")


if __name__ == "__main__":
    main()
