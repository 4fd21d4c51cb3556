"""What the search asks: the latency of any network on a device, with an interval, and of whole populations."""

from __future__ import annotations

import functools
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from supernet import NetSpec, Space

from .fitting import LEAST, Fit, fit
from .population import Population
from .table.latencies import Latencies
from .table.store import Store, TableError
from .units import Unit, units


class Prediction(NamedTuple):
    ms: float
    low_ms: float
    high_ms: float


class LatencyTable:
    """One device's part of a table file, read once. Units that the table lacks are a TableError that says how to get
    them.

    `units_from` is the table of another device, for one on which whole networks were measured but no units: its units
    are taken, and the fit says what they are on this one.
    """

    def __init__(self, path: str | Path, device: str | None = None, *, units_from: LatencyTable | None = None) -> None:
        self.path, self.units_from = Path(path), units_from
        with Store(path) as store:
            self.collection = store.find(device)
            self.latencies = Latencies(store, self.collection)

    @functools.cached_property
    def fit(self) -> Fit:
        """Over all measured networks whose units are known; the plain sum where they are too few."""
        parts, measured = [], []
        for item, latency in self.latencies.networks.items():
            try:
                parts.append(self.parts_ms(item.spec))
            except TableError:
                continue
            measured.append(latency.ms)
        return fit(parts, measured) if len(measured) >= LEAST else Fit()

    def unit_ms(self, unit: Unit) -> float:
        if self.units_from is not None:
            return self.units_from.unit_ms(unit)
        found = self.latencies.slope(unit)
        if found is None:
            raise TableError(
                f"{self.path}: {unit} was not measured on {self.collection}; "
                "`python -m latency_lut plan` with the space, `export` and `measure` add what is missing"
            )
        return max(found.ms, 0.0)

    def parts_ms(self, spec: NetSpec) -> dict[str, float]:
        """The sum over the network's units, by kind."""
        found: dict[str, float] = defaultdict(float)
        for unit in units(spec):
            found[unit.kind] += self.unit_ms(unit)
        return dict(found)

    def latency_ms(self, spec: NetSpec) -> Prediction:
        return self._with_interval(self.fit.latency_ms(self.parts_ms(spec)))

    def population(self, space: Space) -> Population:
        """`population(codes)` gives milliseconds; make it once for a search."""
        fit = self.fit
        return Population(space, lambda unit: fit.weight(unit.kind) * self.unit_ms(unit), fit.offset_ms)

    def latencies_ms(self, space: Space, codes: Any) -> np.ndarray:
        return self.population(space)(codes)

    def _with_interval(self, ms: float) -> Prediction:
        if self.fit.error is None:
            return Prediction(ms, float("nan"), float("nan"))
        return Prediction(ms, ms / (1 + self.fit.error), ms * (1 + self.fit.error))
