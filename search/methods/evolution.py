"""Multi-objective evolution: networks that are good by some objective, and unlike the others, have children.

As NSGA-II (Deb et al. 2002), with domination by constraints: a network that keeps them is better than any that does
not, and of two that don't, the one that breaks them less. What only costs can tell is told before anything is
evaluated, so that no evaluation is spent on networks beyond the budget.
"""

from __future__ import annotations

import numpy as np

from ..codes import Array, Codes, distinct
from ..config import EvolutionConfig
from ..feasible import Feasible
from ..fronts import crowding, ranks, select
from ..problem import Problem
from .base import Method

TRIES = 20
"""Generations of children that are thrown away, at most, for being known or beyond the constraints."""


class Evolution(Method):
    def __init__(self, problem: Problem, seed: int, config: EvolutionConfig) -> None:
        super().__init__(problem, seed)
        self.config = config
        self.codes = Codes(problem.space)
        self.feasible = Feasible(problem)
        self.seen: set[bytes] = set()
        self.population = self.codes.empty()
        self.losses = np.zeros((0, len(problem.objectives)))
        self.excess = np.zeros(0)

    def ask(self, most: int) -> Array:
        missing = self.config.population - len(self.seen)
        if missing > 0:
            found = self.feasible.draw(self.rng, min(missing, most), self.seen)
        else:
            found = self._children(min(self.config.children, most))
        self.seen |= {code.tobytes() for code in found}
        return found

    def begin_with(self, codes: Array, accuracy: Array) -> None:
        self.tell(codes, accuracy)

    def tell(self, codes: Array, accuracy: Array) -> None:
        self.seen |= {code.tobytes() for code in codes}
        columns = self.problem.columns(codes, accuracy)
        population = np.concatenate([self.population, codes])
        losses = np.concatenate([self.losses, self.problem.losses(columns)])
        excess = np.concatenate([self.excess, self.problem.excess(columns)])
        kept = select(losses, excess, self.config.population)
        self.population, self.losses, self.excess = population[kept], losses[kept], excess[kept]

    def _children(self, number: int) -> Array:
        """New and within the constraints; where too few come about, random ones make up for them."""
        rank, crowd = self._standing()
        found, count, seen = [self.codes.empty()], 0, set(self.seen)
        for _ in range(TRIES):
            children = self._bred(max(2 * number, 64), rank, crowd)
            children = children[distinct(children, seen)]
            children = children[self.feasible.excess(children) == 0]
            seen |= {code.tobytes() for code in children}
            found.append(children)
            count += len(children)
            if count >= number:
                break
        else:
            found.append(self.feasible.draw(self.rng, number - count, seen))
        return np.concatenate(found)[:number]

    def _bred(self, number: int, rank: Array, crowd: Array) -> Array:
        first, second = (self.population[self._tournament(number, rank, crowd)] for _ in range(2))
        crossed = self.rng.random(number) < self.config.crossover
        children = first.copy()
        children[crossed] = self.codes.crossover(first[crossed], second[crossed], self.rng)
        return self.codes.mutate(children, self.rng, self.config.mutation)

    def _tournament(self, number: int, rank: Array, crowd: Array) -> Array:
        """Of two at random, the better one, or the lonelier one of equals."""
        one, other = self.rng.integers(0, len(self.population), (2, number))
        wins = (rank[one] < rank[other]) | ((rank[one] == rank[other]) & (crowd[one] >= crowd[other]))
        return np.where(wins, one, other)

    def _standing(self) -> tuple[Array, Array]:
        """The front that each belongs to, those beyond the constraints last, and how lonely it is there."""
        rank = np.zeros(len(self.population), dtype=np.int64)
        crowd = np.zeros(len(self.population))
        fine = self.excess == 0
        if fine.any():
            rank[fine] = ranks(self.losses[fine])
        order = np.argsort(self.excess[~fine], kind="stable")
        rank[np.flatnonzero(~fine)[order]] = len(self.population) + np.arange(len(order))
        for front in np.unique(rank[fine]):
            mine = np.flatnonzero(fine & (rank == front))
            crowd[mine] = crowding(self.losses[mine])
        return rank, crowd
