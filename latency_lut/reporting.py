"""What a person reads of a table: what it holds, how well it predicts, what a network takes."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from supernet import load_spec
from supernet.values import SpecError, printable

from .fitting import LEAST, Fit
from .lookup import LatencyTable, fit_of
from .phone.placement import placement_lines
from .table.latencies import Latency, contended_share
from .table.store import Store, TableError
from .table.stretches import slow_share


def show_command(args: argparse.Namespace) -> None:
    with Store(args.table) as store:
        for one in store.collections():
            stretches = store.stretches(one)
            rounds = len({stretch.round for stretch in stretches})
            items = store.items(one)
            chains = len({item.text for item in items.values() if item.copies})
            networks = sum(not item.copies for item in items.values())
            print(f"{one.id}: {one.with_protocol}")
            print(
                f"   {chains:,} units and {networks} networks in {rounds} rounds, {len(store.failures(one))} failed; "
                f"{slow_share(stretches):.1%} measured on a slow device, "
                f"{contended_share(store, one):.1%} beside other work"
            )
            for line in placement_lines(store, one):
                print(f"   {line}")
    if args.device is not None or args.plot is not None:
        table = LatencyTable(args.table, args.device)
        _print_units(table)
        if args.plot is not None:
            from .plots import draw_units

            draw_units(table, args.plot)
            print(f"drawn in {printable(str(args.plot))}", file=sys.stderr)


def _print_units(table: LatencyTable) -> None:
    from .units import read_key

    by_kind: dict[str, list[Latency]] = defaultdict(list)
    for key, latency in table.latencies.slopes.items():
        by_kind[read_key(key).kind].append(latency)
    networks = table.latencies.networks
    print(f"\n{'kind':<28}{'units':>7}{'min ms':>10}{'median':>10}{'max':>10}{'+-':>8}")
    for kind, found in [*sorted(by_kind.items()), ("whole networks", list(networks.values()))]:
        if found:
            ms = [one.ms for one in found]
            print(f"{kind:<28}{len(ms):>7}{min(ms):>10.3f}{np.median(ms):>10.3f}{max(ms):>10.3f}{_spread(found):>8}")
    slower = [ms / networks[item].ms for item, ms in table.latencies.sustained.items() if item in networks]
    if slower:
        shares = f"{np.median(slower):.2f} times a burst, {min(slower):.2f} to {max(slower):.2f}"
        print(f"{'  without a pause':<28}{len(slower):>7}  {shares}")


def _spread(found: list[Latency]) -> str:
    """Half of the interval of 95 %, as a share of the latency: the median. Unknown after a single round."""
    shares = [(one.high_ms - one.low_ms) / 2 / one.ms for one in found if one.ms > 0 and math.isfinite(one.high_ms)]
    return f"{np.median(shares):.1%}" if shares else ""


def validation(table: LatencyTable, held_out: int) -> tuple[Fit, list[dict[str, Any]]]:
    """The fit, and for each network what was measured and predicted. Without held-out ones, those of the fit are
    predicted each from the others."""
    known = table.known_networks
    if len(known) - max(held_out, 1) < LEAST:
        reason = f"{len(known)} measured networks with known units are too few to hold {max(held_out, 1)} out"
        remedy = f"`python -m latency_lut plan SPACE --out PLAN --networks 30 --unseen {held_out or 10}` plans more"
        raise TableError(f"{table.path}: {reason}, as a fit needs {LEAST}: {remedy}")
    if held_out:
        model = fit_of(known[:-held_out])
        tested = [(one, model) for one in known[-held_out:]]
    else:
        model = table.fit
        tested = [(one, fit_of(known[:index] + known[index + 1 :])) for index, one in enumerate(known)]
    rows = []
    for one, used in tested:
        predicted = used.latency_ms(one.parts_ms)
        rows.append(
            {
                "network": one.item.id,
                "measured_ms": one.ms,
                "predicted_ms": predicted,
                "sum_ms": sum(one.parts_ms.values()),
                "error": predicted / one.ms - 1,
            }
        )
    return model, rows


def _table(args: argparse.Namespace) -> LatencyTable:
    known = None if args.units_from is None else LatencyTable(args.units_from, args.known_device)
    return LatencyTable(args.table, args.device, units_from=known)


def validate_command(args: argparse.Namespace) -> None:
    table = _table(args)
    model, rows = validation(table, args.held_out)
    summary = summarise(rows)
    about = {"device": str(table.collection), "held_out": args.held_out or "one at a time", **summary}
    if args.json:
        print(
            json.dumps(
                about | {"offset_ms": model.offset_ms, "factor": model.factor, "corrections": dict(model.corrections)}
            )
        )
    else:
        print(f"{table.collection}")
        corrections = ", ".join(f"{kind} {value:+.3f}" for kind, value in model.corrections.items()) or "none"
        print(f"latency = {model.offset_ms:.3f} ms + {model.factor:.3f} x sum; corrections by kind: {corrections}")
        print(f"{len(rows)} networks, " + ("held out" if args.held_out else "each predicted from the others") + ":")
        shares = ", ".join(f"within {limit} %: {summary[f'within_{limit}']:.1%}" for limit in (5, 10))
        print(f"  mean error {summary['mape']:.2%}, {shares}, worst {summary['worst']:.1%}")
        print(f"  Spearman {summary['spearman']:.4f}; the bare sum is off by {summary['sum_mape']:.2%}")
    if args.plot is not None:
        from .plots import draw_validation

        draw_validation(rows, str(table.collection), args.plot)
        print(f"drawn in {printable(str(args.plot))}", file=sys.stderr)


def summarise(rows: list[dict[str, Any]]) -> dict[str, float]:
    from scipy import stats

    errors = np.abs([row["error"] for row in rows])
    measured, predicted, sums = (
        np.array([row[name] for row in rows]) for name in ("measured_ms", "predicted_ms", "sum_ms")
    )
    return {
        "networks": len(rows),
        "mape": float(errors.mean()),
        "worst": float(errors.max()),
        "within_5": float((errors <= 0.05).mean()),
        "within_10": float((errors <= 0.1).mean()),
        "spearman": float(stats.spearmanr(measured, predicted).statistic),
        "sum_mape": float(np.abs(sums / measured - 1).mean()),
    }


def latency_command(args: argparse.Namespace) -> None:
    table = _table(args)
    for name in args.specs:
        spec = load_spec(name)
        try:
            spec = spec if args.resolution is None else spec.with_(resolution=args.resolution)
        except SpecError as error:
            raise error.under(printable(Path(name).stem)) from None
        ms, low, high = table.latency_ms(spec)
        if args.json:
            print(
                json.dumps({"spec": name, "ms": ms, "low_ms": low, "high_ms": high, "device": table.collection.device})
            )
        else:
            print(f"{printable(name)}: {ms:.3f} ms ({low:.3f} to {high:.3f}) on {table.collection}")
