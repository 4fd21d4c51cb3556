"""What a search said of the networks of its front: read from the files it left."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterable
from pathlib import Path

from supernet.values import SpecError, UserError, first_line, printable

from .outcome import ACCURACY, LATENCY, Outcome

logger = logging.getLogger("training")


def predictions(front: Path) -> dict[str, dict[str, float]]:
    """By file name: accuracy in percent, and milliseconds by `latency NAME`. Empty for a folder of no search."""
    table = front.resolve().parent / "front.csv"
    if not table.is_file():
        return {}
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        if rows and not {"file", "accuracy %"} <= rows[0].keys():
            return {}  # somebody else's front.csv
        for number, row in enumerate(rows, start=2):
            if None in row or None in row.values():
                raise ValueError(f"line {number} has not as many values as the first one has names")
        return {Path(row["file"]).name: _figures(row) for row in rows}
    except (OSError, ValueError, csv.Error) as error:
        raise SpecError("--front", f"{printable(str(table))} can't be read: {first_line(error)}") from None


def _figures(row: dict[str, str]) -> dict[str, float]:
    found = {ACCURACY: float(row["accuracy %"])}
    for column, value in row.items():
        name = column.removesuffix(" ms")
        if column.startswith(LATENCY) and column.endswith(" ms") and not name.endswith((" low", " high")):
            found[name] = float(value)
    return found


def with_latencies(front: Path, outcomes: Iterable[Outcome], out: Path) -> list[Outcome]:
    """Measured on this computer, where the search names a table of it under `measure`."""
    outcomes = list(outcomes)
    config_file = front.resolve().parent / "config.yaml"
    if not config_file.is_file() or not any(outcome.predicted for outcome in outcomes):
        return outcomes
    from search.measured import measured
    from search.reading import load_config
    from search.setting import make_problem

    try:
        config = load_config(config_file)
        if not config.measure:
            return outcomes
        problem = make_problem(config)
    except UserError as error:
        logger.warning("latencies are not measured, as the search can't be read: %s", error)
        return outcomes
    metric = LATENCY + config.measure
    found = []
    for number, one in enumerate(outcomes, start=1):
        if metric not in one.predicted:
            found.append(one)
            continue
        print(f"measuring network {number} of {len(outcomes)} on {config.measure} ...", flush=True)
        folder = out / one.name
        spec = one.spec.with_(num_classes=problem.space.num_classes)
        comparison = measured(problem, config.measure, spec, one.predicted[metric], folder)
        found.append(one._replace(measured={metric: comparison.measured}))
    return found
