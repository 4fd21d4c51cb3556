"""What the search asks: the latency of any network on a device, with an interval, and of whole populations."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from supernet import NetSpec, Space

from .fitting import LEAST, Fit, fit
from .items import Item
from .population import Population
from .table.latencies import Latencies
from .table.store import Store, TableError
from .table.stretches import looks_at
from .units import Unit, units


class Prediction(NamedTuple):
    ms: float
    low_ms: float
    high_ms: float


class KnownNetwork(NamedTuple):
    """`parts_ms` is the sum over its units, by kind."""

    item: Item
    parts_ms: dict[str, float]
    ms: float


def fit_of(networks: Sequence[KnownNetwork]) -> Fit:
    return fit([one.parts_ms for one in networks], [one.ms for one in networks])


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
            self._stretches = store.stretches(self.collection)

    @property
    def anchor(self) -> Item | None:
        """The network that was looked at most between stretches; None where the table has no latency of it."""
        ids = [id_ for id_, _ in Counter(one.anchor for one in self._stretches).most_common()]
        known = {item.id: item for item in self.latencies.networks}
        return next((known[id_] for id_ in ids if id_ in known), None)

    def looks_ms(self, anchor: Item) -> list[float]:
        return looks_at(anchor.id, self._stretches)

    @functools.cached_property
    def fit(self) -> Fit:
        """Over all measured networks whose units are known; the plain sum where they are too few."""
        known = self.known_networks
        return fit_of(known) if len(known) >= LEAST else Fit()

    @functools.cached_property
    def known_networks(self) -> list[KnownNetwork]:
        """Those that were measured and whose units are known, in the order in which they came into the table."""
        found = []
        for item in sorted(self.latencies.networks, key=lambda item: self.latencies.number_of[item]):
            try:
                parts = self.parts_ms(item.spec)
            except TableError:
                continue
            found.append(KnownNetwork(item, parts, self.latencies.networks[item].ms))
        return found

    def knows(self, unit: Unit) -> bool:
        try:
            return self.unit_ms(unit) >= 0
        except TableError:
            return False

    def unit_ms(self, unit: Unit) -> float:
        if self.units_from is not None:
            return self.units_from.unit_ms(unit)
        found = self.latencies.slope(unit)
        if found is None:
            raise TableError(
                f"{self.path}: {unit} was not measured on {self.collection}; "
                "`python -m latency_lut plan SPACE --out PLAN` with the space that has it, `export PLAN` and "
                f"`measure PLAN --table {self.path}` add what is missing"
            )
        return max(found.ms, 0.0)

    def parts_ms(self, spec: NetSpec) -> dict[str, float]:
        """The sum over the network's units, by kind."""
        found: dict[str, float] = defaultdict(float)
        for unit in units(spec):
            found[unit.kind] += self.unit_ms(unit)
        return dict(found)

    def latency_ms(self, spec: NetSpec) -> Prediction:
        ms = self.fit.latency_ms(self.parts_ms(spec))
        return Prediction(ms, *self.interval(ms))

    def population(self, space: Space) -> Population:
        """`population(codes)` gives milliseconds; make it once for a search."""
        fit = self.fit
        return Population(space, lambda unit: fit.weight(unit.kind) * self.unit_ms(unit), fit.offset_ms)

    def latencies_ms(self, space: Space, codes: Any) -> np.ndarray:
        return self.population(space)(codes)

    def interval(self, ms: float) -> tuple[float, float]:
        """Around a predicted latency; nan where too few networks were measured to know."""
        if self.fit.error is None:
            return float("nan"), float("nan")
        return ms / (1 + self.fit.error), ms * (1 + self.fit.error)
