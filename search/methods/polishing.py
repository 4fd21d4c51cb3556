"""What a method that comes to an end does with the evaluations that are left: it looks around what is best so far.

As Pareto local search (Paquete et al. 2004): networks that differ in one choice from one of the front, in turn from
each.
"""

from __future__ import annotations

import numpy as np

from ..codes import Array, distinct, keys
from ..feasible import Feasible
from ..fronts import select
from ..problem import Problem

BATCH, SHARE = 16, 1 / 16
"""Networks asked for at once: so many, or this share of those that were evaluated, if that is more."""
LOOKED_AROUND = 64
"""Networks, the best first, around which it looks before it draws at random."""


class Polishing:
    def __init__(self, problem: Problem, rng: np.random.Generator) -> None:
        self.problem, self.rng = problem, rng
        self.feasible = Feasible(problem)
        self.codes, self.accuracy = problem.codes.empty(), np.zeros(0)
        self.dropped: set[bytes] = set()
        self._around: dict[bytes, Array] = {}
        """The neighbours of a network that keep the constraints."""

    def tell(self, codes: Array, accuracy: Array) -> None:
        self.codes = np.concatenate([self.codes, codes])
        self.accuracy = np.concatenate([self.accuracy, accuracy])

    def drop(self, codes: Array) -> None:
        self.dropped |= set(keys(codes))

    def ask(self, most: int) -> Array:
        """New networks around those that were evaluated; random ones where there are none left."""
        most, known = min(most, max(BATCH, int(SHARE * len(self.codes)))), set(keys(self.codes)) | self.dropped
        columns = self.problem.columns(self.codes, self.accuracy)
        excess = self.problem.excess(columns)
        ranked = select(self.problem.losses(columns), excess, LOOKED_AROUND)
        found: dict[bytes, Array] = {}
        left = [self._fresh(self.codes[index], known) for index in ranked if excess[index] == 0]
        while len(found) < most and any(map(len, left)):
            for near in left:
                if near and len(found) < most:
                    code = near.pop()
                    found[code.tobytes()] = code
        if not found:
            return self.feasible.draw(self.rng, most, known)
        return np.array(list(found.values()), dtype=np.int32)

    def _fresh(self, code: Array, known: set[bytes]) -> list[Array]:
        key = code.tobytes()
        if key not in self._around:
            near = self.problem.codes.neighbours(code)
            near = near[self.feasible.excess(near) == 0]
            self._around[key] = near[self.rng.permutation(len(near))]
        near = self._around[key] = self._around[key][distinct(self._around[key], known)]
        return list(near)
