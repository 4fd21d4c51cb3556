"""What networks cost, for thousands at once: parameters, multiply-accumulates, milliseconds on each device.

All of these are sums over units, so that one look-up a place of the network gives them together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from latency_lut.lookup import LatencyTable
from latency_lut.population import Population
from latency_lut.units import Unit, unit_cost
from supernet import Space, SpecError
from supernet.values import did_you_mean

from .exact import CostDistribution

LATENCY = "latency "
"""Before the name of a device, as in `latency iphone13`."""
COUNTED = ("params", "macs")
SIZE = "size"
"""Megabytes of the weights on disk, at two bytes each, as they are shipped."""
BYTES = 2


class Scale(NamedTuple):
    """How a metric is written for people: `7.0 M` for 7e6."""

    unit: str
    factor: float


def scale(metric: str, largest: float = math.inf) -> Scale:
    """`largest`: of the values that are shown together; those of tiny networks are counted in thousands."""
    if metric.startswith(LATENCY):
        return Scale("ms", 1.0)
    if metric in COUNTED:
        return Scale("M", 1e6) if largest >= 1e6 else Scale("k", 1e3)
    return {SIZE: Scale("MB", 1.0), "accuracy": Scale("%", 1.0)}.get(metric, Scale("", 1.0))


def show(metric: str, value: float, known: Scale | None = None) -> str:
    unit, factor = known or scale(metric, value)
    return f"{value / factor:.4g} {unit}".strip()


def show_exactly(metric: str, value: float) -> str:
    """With as many digits as it takes to mean this value and no other, four at least."""
    unit, factor = scale(metric, value)
    texts = (f"{value / factor:.{digits}g}" for digits in range(4, 18))
    found = (text for text in texts if "e+" not in text and rounded(float(text) * factor) == value)
    return f"{next(found, f'{value / factor:.17g}')} {unit}".strip()


def rounded(value: float) -> float:
    """To the digits in which a limit is read: a product of what was typed and its unit is off in the last."""
    return float(f"{value:.12g}")


def show_reached(metric: str, value: float, at_most: bool) -> str:
    """A limit that this value keeps, to be typed: what is no whole number is rounded to six digits, away from it."""
    if value.is_integer() or value <= 0:
        return show_exactly(metric, value)
    decimals = 5 - math.floor(math.log10(value))
    limit = (math.ceil if at_most else math.floor)(value * 10.0**decimals) / 10.0**decimals
    return show_exactly(metric, rounded(limit))


class Efficiency(NamedTuple):
    """EfficientFormerV2's mobile-efficiency score, to be maximised: 100 times the product of
    (metric / unit) ** alpha."""

    units: Mapping[str, float]
    alphas: Mapping[str, float]

    def __call__(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        found: np.ndarray = np.float64(100.0) * np.ones(())
        for metric, unit in self.units.items():
            found = found * (columns[metric] / unit) ** self.alphas[metric]
        return found


class Costs:
    """`costs(codes)` has a row for each network and a column for each of `metrics`.

    Units that a table lacks are a TableError that names them.
    """

    def __init__(self, space: Space, tables: Mapping[str, LatencyTable] | None = None) -> None:
        self.space, self.tables = space, dict(tables or {})
        self.metrics = (*COUNTED, *(LATENCY + name for name in self.tables))
        self._fits = [table.fit for table in self.tables.values()]
        self._distributions: dict[str, CostDistribution] = {}
        offsets = [0.0, 0.0, *(fit.offset_ms for fit in self._fits)]
        self.population = Population(space, self._unit_costs, np.array(offsets))

    def _unit_costs(self, unit: Unit) -> np.ndarray:
        cost = unit_cost(unit)
        known = zip(self._fits, self.tables.values(), strict=True)
        ms = (fit.weight(unit.kind) * table.unit_ms(unit) for fit, table in known)
        return np.array([cost.params, cost.macs, *ms])

    @property
    def latencies(self) -> list[str]:
        """The metrics that are latencies."""
        return [LATENCY + name for name in self.tables]

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        return self.population(codes)

    def distribution(self, metric: str) -> CostDistribution:
        """Of one metric over the space; made once."""
        if metric not in self._distributions:
            column = self.column(metric)
            offset = float(self.population.offset[column])
            self._distributions[metric] = CostDistribution(
                self.space, lambda unit: float(self._unit_costs(unit)[column]), offset
            )
        return self._distributions[metric]

    def column(self, metric: str) -> int:
        if metric not in self.metrics:
            raise SpecError("metric", f"{metric!r} is not known, {did_you_mean(metric, self.metrics)}")
        return self.metrics.index(metric)

    def named(self, costs: np.ndarray) -> dict[str, np.ndarray]:
        return {metric: costs[..., column] for column, metric in enumerate(self.metrics)}
