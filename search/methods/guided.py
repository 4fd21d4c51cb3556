"""Any method on predictions: what it finds there is evaluated, and the predictor is fitted again.

An evaluation on the supernet costs seconds, a prediction microseconds. The predictor learns from random networks first;
then, again and again, the method looks at thousands of candidates, and the best of them, spread over the front, are
evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..codes import Array, distinct, keys
from ..config import PredictorConfig
from ..fronts import select
from ..predictor import Predictor
from ..problem import Problem
from .base import Method

MakeMethod = Callable[[int], Method]
"""A fresh one, from a seed."""


class Guided(Method):
    def __init__(self, problem: Problem, seed: int, config: PredictorConfig, make: MakeMethod, batch: int = 16) -> None:
        super().__init__(problem, seed)
        self.config, self.make, self.batch, self.seed = config, make, batch, seed
        self.codes = problem.codes
        self.known = self.codes.empty()
        self.accuracy = np.zeros(0)
        self.predictor = Predictor(self.codes, problem.costs)
        self.is_fitted = False
        self.seen: set[bytes] = set()

    def ask(self, most: int) -> Array:
        missing = self.config.start - len(self.seen)
        if missing > 0:
            found = self.feasible.draw(self.rng, min(missing, most, 4 * self.batch), self.seen)
        else:
            found = self._promising(min(self.batch, most))
        if not len(found):
            found = self.feasible.draw(self.rng, min(self.batch, most), self.seen)
        self.seen |= set(keys(found))
        return found

    def tell(self, codes: Array, accuracy: Array) -> None:
        self.known = np.concatenate([self.known, codes])
        self.accuracy = np.concatenate([self.accuracy, accuracy])

    def tau(self) -> float | None:
        found = self.predictor.scores().get("tau") if self.is_fitted else None
        return found if found is not None and math.isfinite(found) else None

    def _promising(self, number: int) -> Array:
        self.predictor.fit(self.known, self.accuracy)
        self.is_fitted = True
        inner = self.make(int(self.rng.integers(2**31)))
        inner.begin_with(self.known, self.accuracy)
        none = self.codes.empty()
        looked_at = [(none, np.zeros(0), self.problem.costs_of(none))]
        left = self.config.candidates
        while left > 0:
            codes = inner.ask(left)
            if not len(codes):
                break
            costs = self.problem.costs_of(codes)
            accuracy = self._predicted(codes, costs)
            inner.tell(codes, accuracy)
            looked_at.append((codes, accuracy, costs))
            left -= len(codes)
            if inner.feasible.is_laborious:  # candidates no longer cost microseconds
                break
        codes, accuracy, costs = map(np.concatenate, zip(*looked_at, strict=True))
        fresh = distinct(codes, self.seen)
        codes, accuracy = codes[fresh], accuracy[fresh]
        self.problem.announce(codes, costs[fresh])
        columns = self.problem.columns(codes, accuracy)
        excess = self.problem.excess(columns)
        kept = select(self.problem.losses(columns), excess, number)
        return codes[kept[excess[kept] == 0]]

    def _predicted(self, codes: Array, costs: Array) -> Array:
        mean, error = self.predictor.predict(codes, costs)
        return mean + self.config.explore * error
