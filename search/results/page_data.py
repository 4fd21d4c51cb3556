"""What the page's scripts know: figures by column, so that thousands of networks stay small, and what can be drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from supernet.values import printable

from ..problem import ACCURACY, is_maximised
from .findings import Findings, Interval, Published, limit_words, spec_file
from .networks import Drawings


def page_data(findings: Findings) -> dict[str, Any]:
    drawings = Drawings()
    front = findings.front()
    networks = {row.index: drawings.add(row.spec) for row in findings.rows if row.spec is not None}
    published = [_published(one, drawings) for one in findings.published]
    return {
        "metrics": [_metric(findings, name) for name in findings.all_metrics],
        "axes": [findings.cost_metrics[0], ACCURACY],
        "constraints": [
            {"metric": one.metric, "limit": one.limit, "atMost": one.at_most, "words": limit_words(one)}
            for one in findings.constraints
        ],
        "columns": {name: [_short(row.value(name)) for row in findings.rows] for name in findings.all_metrics},
        "intervals": {name: column for name in findings.metrics if (column := _intervals(findings, name))},
        "infeasible": [row.index for row in findings.rows if not row.feasible],
        "front": [row.index for row in front],
        "folder": "",
        "files": [spec_file(rank, row) for rank, row in enumerate(front, start=1)],
        "best": findings.best,
        "networks": networks,
        "published": published,
        "trained": [],
        "drawings": drawings.plain(),
        "history": [
            [one.evaluations, _short(one.seconds), *map(_short, (one.hypervolume, one.best_feasible, one.tau))]
            for one in findings.history
        ],
        "comparisons": [
            {
                "metric": one.metric,
                "predicted": _short(one.predicted),
                "measured": _short(one.measured),
                "interval": _ends(one.predicted_interval),
                "spread": _ends(one.measured_interval),
                "how": one.how,
            }
            for one in findings.comparisons
        ],
    }


def _metric(findings: Findings, name: str) -> dict[str, Any]:
    unit, factor = findings.scale(name)
    return {"name": name, "shown": printable(name), "unit": unit, "factor": factor, "maximised": is_maximised(name)}


def _published(one: Published, drawings: Drawings) -> dict[str, Any]:
    values: Mapping[str, float | None] = {ACCURACY: one.accuracy, **one.metrics}
    return {
        "name": one.name,
        "values": {name: _short(value) for name, value in values.items()},
        "network": drawings.add(one.spec),
    }


def _intervals(findings: Findings, metric: str) -> list[list[float | None] | None] | None:
    """The column of a metric; None where no network has any."""
    column = [_ends(row.interval(metric)) for row in findings.rows]
    return column if any(column) else None


def _ends(interval: Interval | None) -> list[float | None] | None:
    return None if interval is None or not interval.is_known() else [_short(interval.low), _short(interval.high)]


def _short(value: float | None) -> float | None:
    """Seven digits are more than anything here is known to. What is no number is left out: JSON has none such."""
    if value is None or not math.isfinite(value):
        return None
    whole = float(value)
    return int(whole) if whole.is_integer() else float(f"{whole:.7g}")
