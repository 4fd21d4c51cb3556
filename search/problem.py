"""What is searched for: objectives, and constraints that every answer must keep.

A constraint is a sentence such as `latency iphone13 <= 1.0 ms` or `params <= 7 M`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from supernet import SpecError
from supernet.values import did_you_mean, show

from .codes import Codes
from .costs import BYTES, LATENCY, SIZE, Costs, Efficiency, rounded, show_exactly
from .costs import show as in_words

ACCURACY = "accuracy"
SCORE = "efficiency"
"""The metrics that are better the larger they are; all others are better the smaller they are."""
_SENTENCE = re.compile(r"\s*(?P<metric>.+?)\s*(?P<sign><=|>=|<|>|=+)\s*(?P<number>[-+.\deE]+)\s*(?P<unit>\S*)\s*")
_FACTORS = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "ms": 1.0, "us": 1e-3, "s": 1e3, "%": 1.0}
_FACTORS |= {"MB": 1.0, "kB": 1e-3, "GB": 1e3}


def is_maximised(metric: str) -> bool:
    return metric in (ACCURACY, SCORE)


@dataclass(frozen=True)
class Constraint:
    metric: str
    limit: float
    at_most: bool

    def __str__(self) -> str:
        return f"{self.metric} {'<=' if self.at_most else '>='} {show_exactly(self.metric, self.limit)}"

    def excess(self, values: np.ndarray) -> np.ndarray:
        """By which share of the limit it is broken; 0 where it is kept."""
        over = values - self.limit if self.at_most else self.limit - values
        return np.maximum(over, 0.0) / max(abs(self.limit), 1e-12)


def parse_constraint(text: str) -> Constraint:
    found = _SENTENCE.fullmatch(text)
    if found is None or found["sign"] not in ("<=", ">=", "<", ">"):
        raise SpecError("", f"{show(text)} is not of the form `METRIC <= NUMBER`, such as `params <= 7 M`")
    if found["sign"] in ("<", ">"):
        raise SpecError(
            "", f"{show(text)}: limits belong to what is allowed; write {found['sign']}= for {found['sign']}"
        )
    metric = " ".join(found["metric"].split())
    unit = found["unit"]
    known = ["", "ms", "us", "s"] if metric.startswith(LATENCY) else ["", "k", "K", "M", "G", "B"]
    known = {ACCURACY: ["", "%"], SIZE: ["", "kB", "MB", "GB"]}.get(metric, known)
    if unit not in known:
        raise SpecError("", f"{show(text)}: the unit {show(unit)} is not one of {', '.join(filter(None, known))}")
    try:
        number = float(found["number"])
    except ValueError:
        raise SpecError("", f"{show(text)}: {show(found['number'])} is no number") from None
    limit, at_most = rounded(number * _FACTORS[unit]), found["sign"] == "<="
    is_possible = 0 <= limit <= 100 if metric == ACCURACY else limit > 0 or (limit == 0 and not at_most)
    if not math.isfinite(limit) or not is_possible:
        raise SpecError("", f"{show(text)}: {show(found['number'])} is no limit that {metric} can have")
    return Constraint(metric, limit, at_most)


class Problem:
    """Metrics are those of `costs`, `size` where it is asked for, `efficiency` where it is defined, and `accuracy`,
    which must be evaluated."""

    def __init__(
        self,
        costs: Costs,
        objectives: Sequence[str] = (ACCURACY,),
        constraints: Sequence[Constraint] = (),
        efficiency: Efficiency | None = None,
    ) -> None:
        self.costs, self.space, self.efficiency = costs, costs.space, efficiency
        self.codes = Codes(self.space)
        self.objectives, self.constraints = tuple(objectives), tuple(constraints)
        self._last: tuple[np.ndarray, np.ndarray] | None = None
        asked_for = {*self.objectives, *(one.metric for one in constraints)}
        sizes = (SIZE,) if SIZE in asked_for or (efficiency is not None and SIZE in efficiency.units) else ()
        self.metrics = (*costs.metrics, *sizes, *((SCORE,) if efficiency is not None else ()))
        for index, metric in enumerate(self.objectives):
            self._check(metric, f"objectives[{index}]")
        for index, constraint in enumerate(self.constraints):
            self._check(constraint.metric, f"constraints[{index}]")
        if efficiency is not None:
            for metric in efficiency.units:
                known = (*costs.metrics, SIZE)
                if metric not in known:
                    raise SpecError("efficiency", f"{show(metric)} is not known, {did_you_mean(metric, known)}")

    def _check(self, metric: str, path: str) -> None:
        known = (ACCURACY, *dict.fromkeys((*self.metrics, SIZE, SCORE)))
        if metric == SCORE and self.efficiency is None:
            raise SpecError(path, f"{SCORE} must be defined first: set the option `efficiency`")
        if metric not in known and metric.startswith(LATENCY):
            names = [one.removeprefix(LATENCY) for one in known if one.startswith(LATENCY)]
            name = metric.removeprefix(LATENCY)
            raise SpecError(path, f"none of `tables` has the name {show(name)}, {did_you_mean(name, names)}")
        if metric not in known:
            raise SpecError(path, f"the metric {show(metric)} is not known, {did_you_mean(metric, known)}")

    def columns(self, codes: np.ndarray, accuracy: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Each metric of each network. Without an accuracy, there is none."""
        found = self.costs.named(self.costs_of(codes))
        if SIZE in self.metrics:
            found[SIZE] = BYTES * found["params"] / 1e6
        if self.efficiency is not None:
            found[SCORE] = self.efficiency(found)
        if accuracy is not None:
            found[ACCURACY] = accuracy
        return found

    def costs_of(self, codes: np.ndarray) -> np.ndarray:
        """A row for each network. Those of the array that was asked for last, or announced, are known."""
        if self._last is None or self._last[0] is not codes:
            self.announce(codes, self.costs(codes))
        assert self._last is not None
        return self._last[1]

    def announce(self, codes: np.ndarray, costs: np.ndarray) -> None:
        """Costs that somebody knows already, of an array that stays as it is."""
        self._last = (codes, costs)

    def excess(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """By how much the constraints are broken, as the sum of shares of their limits. A constraint on a metric that
        is not among the columns (accuracy, before anything was evaluated) is left out."""
        total = np.zeros(len(columns["params"]))
        for constraint in self.constraints:
            if constraint.metric in columns:
                total += constraint.excess(columns[constraint.metric])
        return total

    def losses(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """A column for each objective, all to be minimised."""
        return np.stack([-columns[m] if is_maximised(m) else columns[m] for m in self.objectives], axis=1)

    def in_words(self, columns: Mapping[str, np.ndarray], index: int) -> str:
        """Such as `params 6.9 M, macs 1230 M, latency iphone13 0.98 ms`."""
        return ", ".join(f"{metric} {in_words(metric, float(values[index]))}" for metric, values in columns.items())
