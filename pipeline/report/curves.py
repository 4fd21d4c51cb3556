"""How training went: accuracies and losses over the epochs, read from the runs' logs."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from search.results.markup import text

from .found import Found
from .markup import section
from .reader import number

Points = list[tuple[float, float]]
MOST_LINES = 6
"""More can't be told apart."""
MOST_POINTS = 300
_NUMBERED = re.compile(r"(?P<kind>.+?) \d+")


def curves(found: Found) -> tuple[str, list[dict[str, Any]]]:
    """The section, and the data of its charts, each of which has a place in it."""
    charts = _supernet(found) + _networks(found)
    if not charts:
        return "", []
    places = "".join(
        f'<figure class="card"><figcaption>{text(chart["title"])}</figcaption><div id="curve-{at}"></div></figure>'
        for at, chart in enumerate(charts)
    )
    lede = "Accuracies are those on validation images as the runs judged themselves; losses are of the training images."
    return section("training", "Training", lede, f'<div class="small-charts wide">{places}</div>'), charts


def _supernet(found: Found) -> list[dict[str, Any]]:
    log = found.reader.lines("supernet/log.jsonl")
    return [
        *_chart("Supernet: top-1 of its members", "%", _accuracies(log)),
        *_chart("Supernet: loss", "", _losses(log)),
    ]


def _networks(found: Found) -> list[dict[str, Any]]:
    top1: dict[str, Points] = {}
    loss: dict[str, Points] = {}
    for one in [one for one in found.networks if one.run][:MOST_LINES]:
        log = found.reader.lines(f"{one.run}/log.jsonl")
        top1[one.name] = next(iter(_accuracies(log).values()), [])
        loss[one.name] = next(iter(_losses(log).values()), [])
    return [*_chart("Networks: top-1", "%", top1), *_chart("Networks: loss", "", loss)]


def _chart(title: str, unit: str, lines: Mapping[str, Points]) -> list[dict[str, Any]]:
    """None where there is nothing to draw."""
    shown = [{"name": name, "points": _thinned(points)} for name, points in lines.items() if points][:MOST_LINES]
    return [{"title": title, "unit": unit, "lines": shown}] if shown else []


def _accuracies(log: Sequence[Mapping[str, Any]]) -> dict[str, Points]:
    """By member; several that were drawn at random are one line, their mean."""
    per_epoch = steps_per_epoch(log)
    found: dict[str, Points] = defaultdict(list)
    for record in log:
        step, rows = number(record, "step"), record.get("rows")
        if record.get("kind") == "evaluation" and step is not None and isinstance(rows, list):
            together: dict[str, list[float]] = defaultdict(list)
            for row in rows:
                top1 = number(row, "top1") if isinstance(row, dict) else None
                if top1 is not None:
                    together[_plain(row.get("name"))].append(top1)
            for name, values in together.items():
                found[name].append((step / per_epoch, sum(values) / len(values)))
    return found


def _plain(name: object) -> str:
    numbered = _NUMBERED.fullmatch(str(name))
    return f"{numbered['kind']}, mean" if numbered else str(name)


def _losses(log: Sequence[Mapping[str, Any]]) -> dict[str, Points]:
    per_epoch = steps_per_epoch(log)
    found: dict[str, Points] = defaultdict(list)
    for record in log:
        step, losses = number(record, "step"), record.get("losses")
        if step is not None and isinstance(losses, dict):
            for name in losses:
                loss = number(losses, name)
                if loss is not None:
                    found[name].append((step / per_epoch, loss))
    return found


def steps_per_epoch(log: Iterable[Mapping[str, Any]]) -> float:
    """What all records agree with: step `s` is in the epoch `(s - 1) // steps`."""
    low, high = 1.0, math.inf
    for record in log:
        step, epoch = number(record, "step"), number(record, "epoch")
        if step is not None and epoch is not None and step >= 1 and epoch >= 0:
            low = max(low, math.floor((step - 1) / (epoch + 1)) + 1.0)
            high = min(high, (step - 1) / epoch) if epoch else high
    return max(low, math.floor(high)) if math.isfinite(high) else low


def _thinned(points: Points) -> Points:
    """Both ends stay."""
    digits = [(round(across, 3), round(up, 5)) for across, up in points]
    if len(digits) <= MOST_POINTS:
        return digits
    return [digits[round(at * (len(digits) - 1) / (MOST_POINTS - 1))] for at in range(MOST_POINTS)]
