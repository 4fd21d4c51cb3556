"""The data of the front's chart: what the search showed, and beside it what was trained and what is published."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from search.costs import LATENCY, scale
from search.problem import ACCURACY, is_maximised
from search.results.findings import Interval, limit_words
from search.results.networks import Drawings
from supernet import count
from supernet.published import Published, published_figures
from supernet.values import printable

from .found import BEST, Found, Trained
from .published import nearest, of_family, published_specs

IMAGENET_CLASSES = 1000
"""Where networks have so many, the authors' accuracies of published ones are shown beside them."""
_REACH = 2.0
"""Published networks that cost more than so many times as much as the others, or less, would squeeze the chart."""


def chart_data(found: Found) -> dict[str, Any]:
    """As `search.results.page_data` gives it, for the same scripts."""
    data = _searched(found)
    drawings = Drawings.of(data["drawings"])
    data["trained"] = [_trained(one, found, data, drawings) for one in found.networks]
    data["published"] += _published(found, data, drawings)
    data["drawings"] = drawings.plain()
    return data


def _searched(found: Found) -> dict[str, Any]:
    if found.search is not None:
        plain: dict[str, Any] = msgspec.to_builtins(found.search)
        return plain | {"folder": "search/", "history": [], "comparisons": []}
    names = [ACCURACY, *dict.fromkeys(name for one in found.networks for name in one.costs)]
    names = names if len(names) > 1 else [ACCURACY, "params"]
    limits = [one for one in found.budget if one.metric in names]
    return {
        "metrics": [_metric(found, name) for name in names],
        "axes": [next((name for name in names if name.startswith(LATENCY)), "params"), ACCURACY],
        "constraints": [
            {"metric": one.metric, "limit": one.limit, "atMost": one.at_most, "words": limit_words(one)}
            for one in limits
        ],
        "columns": {name: [] for name in names},
        "intervals": {},
        "infeasible": [],
        "front": [],
        "files": [],
        "folder": "search/",
        "best": None,
        "networks": {},
        "published": [],
        "drawings": {"blocks": [], "words": []},
        "history": [],
        "comparisons": [],
    }


def _metric(found: Found, name: str) -> dict[str, Any]:
    known = [value for one in found.networks if (value := one.value(name)) is not None]
    unit, factor = scale(name, max(known, default=math.inf))
    return {"name": name, "shown": printable(name), "unit": unit, "factor": factor, "maximised": is_maximised(name)}


def _trained(one: Trained, found: Found, data: dict[str, Any], drawings: Drawings) -> dict[str, Any]:
    name = f"{one.name}, trained"
    name += "" if one.accuracy is not None else ", not finished"
    return {
        "name": name,
        "file": f"{one.run}/spec.yaml",
        "values": {metric: one.value(metric) for metric in _names(data)},
        "intervals": {metric: _ends(interval) for metric, interval in one.intervals.items()},
        "was": _was(one, found, data),
        "network": drawings.add(one.spec),
    }


def _was(one: Trained, found: Found, data: dict[str, Any]) -> int | None:
    """The number of the same network in the search."""
    if one.run == f"networks/{BEST}":
        as_found = found.reader.spec("search/best.yaml")
        is_same = as_found is not None and as_found.with_(num_classes=one.spec.num_classes) == one.spec
        return data["best"] if is_same else None
    file = f"{one.name}.yaml"
    is_of_front = one.run.startswith("networks/front/") and file in data["files"]
    return data["front"][data["files"].index(file)] if is_of_front else None


def _published(found: Found, data: dict[str, Any], drawings: Drawings) -> list[dict[str, Any]]:
    """Of the best one's family: all that have the same classes, with their authors' accuracies; else only the one that
    is nearest, to be looked at."""
    best = found.best
    if best is None:
        return []
    there = {one["name"] for one in data["published"]}
    if best.spec.num_classes != IMAGENET_CLASSES:
        near = nearest(best.spec)
        if near is None or near in there:
            return []
        one = _one_published(near, found, data, drawings)
        one["values"][ACCURACY] = None  # on other images than these
        return [one | {"aside": True}]
    for one in data["published"]:
        figures = published_figures().get(one["name"], Published())
        one["values"][ACCURACY] = one["values"].get(ACCURACY) or figures.top1
    low, high = _span(found, data)
    added = []
    for name in of_family(best.spec):
        if name not in there and published_figures().get(name, Published()).top1 is not None:
            one = _one_published(name, found, data, drawings)
            added.append(one | {"aside": not low <= one["values"]["params"] <= high})
    return added


def _span(found: Found, data: dict[str, Any]) -> tuple[float, float]:
    sizes = [value for value in data["columns"].get("params", []) if value is not None]
    sizes += [one.costs["params"] for one in found.networks]
    return min(sizes, default=0.0) / _REACH, max(sizes, default=math.inf) * _REACH


def _one_published(name: str, found: Found, data: dict[str, Any], drawings: Drawings) -> dict[str, Any]:
    spec = published_specs()[name]
    counted = count(spec)
    figures = published_figures().get(name, Published())
    known: dict[str, float | None] = {"params": counted.params, "macs": counted.macs, ACCURACY: figures.top1}
    known |= {metric: ms for metric, ms, _ in found.latencies(spec)}
    return {
        "name": name,
        "values": {metric: known.get(metric) for metric in _names(data)},
        "network": drawings.add(spec),
    }


def _names(data: dict[str, Any]) -> list[str]:
    return [metric["name"] for metric in data["metrics"]]


def _ends(interval: Interval) -> list[float] | None:
    return [interval.low, interval.high] if interval.is_known() else None
