"""What the sections of the page speak of: the networks that were trained, what they cost, what the search said."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from latency_lut.lookup import LatencyTable
from search.costs import LATENCY
from search.problem import ACCURACY, Constraint, parse_constraint
from search.results.findings import Interval
from supernet import Count, NetSpec, count
from supernet.values import UserError, printable

from .reader import Reader, number
from .searched import Searched, read_search

BEST = "best"


@dataclass(frozen=True)
class Trained:
    """A network of networks/, finished or not."""

    name: str
    run: str
    """Its folder, relative to that of the pipeline."""
    spec: NetSpec
    counted: Count
    accuracy: float | None
    """In percent; None while it is trained."""
    costs: dict[str, float]
    """Predicted: `params`, `macs` and `latency NAME`."""
    intervals: dict[str, Interval]
    measured: dict[str, float] = field(default_factory=dict)
    """Milliseconds by `latency NAME`."""

    def value(self, metric: str) -> float | None:
        return self.accuracy if metric == ACCURACY else self.costs.get(metric)


class Found:
    """All of it is read once, and when a section asks."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.config = reader.yaml("config.yaml")

    @cached_property
    def search(self) -> Searched | None:
        return read_search(self.reader)

    @cached_property
    def budget(self) -> list[Constraint]:
        limits = self.config.get("budget")
        found = []
        for limit in limits if isinstance(limits, list) else []:
            try:
                found.append(parse_constraint(str(limit)))
            except UserError as error:
                self.reader.blame("config.yaml, budget", error)
        return found

    @cached_property
    def tables(self) -> dict[str, LatencyTable]:
        """By the device's name in the config: those that were measured here, and those that the config names."""
        devices = self.config.get("devices")
        named = [one for one in devices if isinstance(one, dict)] if isinstance(devices, list) else []
        files: dict[str, tuple[Path, str | None]] = {}
        for folder in self.reader.folders("tables"):
            files[folder.name] = folder / "table.sqlite", None
        for one in named:
            if one.get("table"):
                path = Path(str(one["table"])).expanduser()
                files[str(one.get("name"))] = (path, str(one["device"]) if one.get("device") else None)
        found = {}
        for name, (path, device) in files.items():
            if path.is_file():
                try:
                    found[name] = LatencyTable(path, device)
                except (UserError, OSError) as error:
                    self.reader.blame(str(path), error)
        return found

    @cached_property
    def networks(self) -> list[Trained]:
        """The best one first, those of a front last."""
        runs = [f"networks/{folder.name}" for folder in self.reader.folders("networks") if folder.name != "front"]
        runs.sort(key=lambda run: (run != f"networks/{BEST}", run))
        chosen = {row.get("network") for row in self._front_table}  # none before all are trained
        fronts = (folder.name for folder in self.reader.folders("networks/front"))
        runs += [f"networks/front/{name}" for name in fronts if not chosen or printable(name) in chosen]
        return [one for one in map(self._trained, runs) if one is not None]

    @property
    def best(self) -> Trained | None:
        """As it was trained; as the search found it where it was not."""
        if self.networks and self.networks[0].name == BEST:
            return self.networks[0]
        return self._found_only

    @cached_property
    def _found_only(self) -> Trained | None:
        spec = self.reader.spec("search/best.yaml")
        return None if spec is None else self._network(BEST, "", spec, None)

    def _trained(self, run: str) -> Trained | None:
        spec = self.reader.spec(f"{run}/spec.yaml")
        if spec is None:
            return None
        results = self.reader.json(f"{run}/results.json")
        return self._network(Path(run).name, run, spec, number(results, "top1"))

    def _network(self, name: str, run: str, spec: NetSpec, accuracy: float | None) -> Trained:
        counted = count(spec)
        costs, intervals = {"params": float(counted.params), "macs": float(counted.macs)}, {}
        for metric, ms, interval in self.latencies(spec):
            costs[metric], intervals[metric] = ms, interval
        if name == BEST and self.search is not None:
            for metric in self.search.latencies() - set(costs):  # its table is elsewhere by now
                costs[metric], intervals[metric] = self.search.best_latency(metric)
        return Trained(name, run, spec, counted, accuracy, costs, intervals, self._measured(name, run))

    def latencies(self, spec: NetSpec) -> Iterator[tuple[str, float, Interval]]:
        """By the tables that know all of its blocks."""
        for name, table in self.tables.items():
            try:
                ms, low, high = table.latency_ms(spec)
            except (UserError, OSError):
                continue
            if math.isfinite(ms):
                yield f"{LATENCY}{name}", ms, Interval(low, high)

    def _measured(self, name: str, run: str) -> dict[str, float]:
        found = dict(self.search.measured()) if name == BEST and self.search is not None else {}
        if run.startswith("networks/front/"):
            for row in self._front_table:
                for column, value in row.items() if row.get("network") == printable(name) else ():
                    if column.endswith(" measured ms") and _is_number(value):
                        found[column.removesuffix(" measured ms")] = float(value)
        return found

    @cached_property
    def _front_table(self) -> list[dict[str, str]]:
        return self.reader.table("networks/front/front.csv")


def _is_number(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False
