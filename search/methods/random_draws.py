"""Random networks within the constraints: what every other method must beat."""

from __future__ import annotations

from ..codes import Array, keys
from ..problem import Problem
from .base import Method

BATCH = 32
"""Networks asked for at once."""


class RandomDraws(Method):
    def __init__(self, problem: Problem, seed: int) -> None:
        super().__init__(problem, seed)
        self.seen: set[bytes] = set()

    def ask(self, most: int) -> Array:
        found = self.feasible.draw(self.rng, min(most, BATCH), self.seen)
        self.seen |= set(keys(found))
        return found

    def tell(self, codes: Array, accuracy: Array) -> None:
        """It learns nothing."""
