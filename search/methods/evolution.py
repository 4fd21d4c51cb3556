"""Multi-objective evolution: networks that are good by some objective, and unlike the others, have children.

As NSGA-II (Deb et al. 2002), with domination by constraints: a network that keeps them is better than any that does
not, and of two that don't, the one that breaks them less. What only costs can tell is told before anything is
evaluated, so that no evaluation is spent on networks beyond the budget.
"""

from __future__ import annotations

import numpy as np

from ..codes import Array, distinct, keys
from ..config import EvolutionConfig
from ..fronts import crowding, nondominated, ranks, select
from ..problem import Problem
from .base import Method

JUDGES = 32
"""Networks of the front that children are compared with first: most can't stand up to one of them."""
TRIES = 20
"""Generations of children that are thrown away, at most, for being known or beyond the constraints."""
BARREN = 4
"""Such generations in a row without any child that could stay are enough."""


class Evolution(Method):
    def __init__(self, problem: Problem, seed: int, config: EvolutionConfig) -> None:
        super().__init__(problem, seed)
        self.config = config
        self.codes = problem.codes
        self.seen: set[bytes] = set()
        self.population = self.codes.empty()
        self.losses = np.zeros((0, len(problem.objectives)))
        self.excess = np.zeros(0)
        self.share = 0.5
        """Of children that keep the constraints, lately."""

    def ask(self, most: int) -> Array:
        missing = self.config.population - len(self.seen)
        if missing > 0:
            found = self.feasible.draw(self.rng, min(missing, most), self.seen)
        else:
            found = self._children(min(self.config.children, most))
        self.seen |= set(keys(found))
        return found

    def begin_with(self, codes: Array, accuracy: Array) -> None:
        self.seen |= set(keys(codes))
        self.tell(codes, accuracy)

    def tell(self, codes: Array, accuracy: Array) -> None:
        columns = self.problem.columns(codes, accuracy)
        new_losses, new_excess = self.problem.losses(columns), self.problem.excess(columns)
        hopeful = self._hopeful(new_losses, new_excess)
        population = np.concatenate([self.population, codes[hopeful]])
        losses = np.concatenate([self.losses, new_losses[hopeful]])
        excess = np.concatenate([self.excess, new_excess[hopeful]])
        kept = select(losses, excess, self.config.population)
        self.population, self.losses, self.excess = population[kept], losses[kept], excess[kept]

    def _hopeful(self, losses: Array, excess: Array) -> Array:
        """Without those that a network of the population beats in everything, once it is complete: they would be the
        first to go."""
        if len(self.population) < self.config.population or (self.excess > 0).any():
            return np.ones(len(losses), dtype=bool)
        beaten = np.zeros(len(losses), dtype=bool)
        front = self.losses[nondominated(self.losses)]
        for strong in front[:: max(1, len(front) // JUDGES)]:
            beaten |= (losses > strong).all(axis=1)
        return ~beaten & (excess == 0)

    def _children(self, number: int) -> Array:
        """New and within the constraints; where too few come about, random ones make up for them."""
        rank, crowd = self._standing()
        found, costs, tried = [self.codes.empty()], [self.problem.costs(self.codes.empty())], set[bytes]()
        barren = 0
        for _ in range(TRIES):
            missing = number - sum(map(len, found))
            if missing <= 0 or barren == BARREN:
                break
            children = self._bred(max(int(missing / self.share * 1.1), 64), rank, crowd)
            children = children[distinct(children, self.seen, tried)]
            tried |= set(keys(children))
            columns = self.problem.columns(children)
            fine = self.problem.excess(columns) == 0
            self.share = 0.5 * self.share + 0.5 * max(float(fine.mean()) if len(fine) else 0.0, 0.05)
            barren = 0 if fine.any() else barren + 1
            found.append(children[fine])
            costs.append(self.problem.costs_of(children)[fine])
        missing = number - sum(map(len, found))
        if missing > 0:
            drawn = self.feasible.draw(self.rng, missing, self.seen | tried)
            found.append(drawn)
            costs.append(self.problem.costs(drawn))
        chosen = np.concatenate(found)[:number]
        self.problem.announce(chosen, np.concatenate(costs)[:number])
        return chosen

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
