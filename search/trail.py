"""What a search evaluated, in order, and what it amounts to: the front, the best network, the hypervolume."""

from __future__ import annotations

import numpy as np

from .codes import Array
from .fronts import hypervolume, nondominated
from .problem import ACCURACY, Problem, is_maximised


class Trail:
    """Accuracies are in percent. Fronts and hypervolumes are those of networks that keep all constraints."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.codes = problem.codes.empty()
        self.accuracy = np.zeros(0)
        self.reference = _reference(problem)
        self._update()

    def __len__(self) -> int:
        return len(self.codes)

    def add(self, codes: Array, accuracy: Array) -> None:
        self.codes = np.concatenate([self.codes, codes])
        self.accuracy = np.concatenate([self.accuracy, accuracy])
        self._update()

    def _update(self) -> None:
        self.columns = self.problem.columns(self.codes, self.accuracy)
        self.feasible = self.problem.excess(self.columns) == 0
        self.losses = self.problem.losses(self.columns)

    def front(self) -> Array:
        """Whether each network is on the front."""
        found = np.zeros(len(self), dtype=bool)
        found[np.flatnonzero(self.feasible)] = nondominated(self.losses[self.feasible])
        return found

    def best(self) -> int | None:
        """Of the networks that keep all constraints, the most accurate; of equal ones, the one with less of the other
        objectives, then the first. None where there is none yet."""
        fine = np.flatnonzero(self.feasible)
        if not len(fine):
            return None
        others = [self.losses[fine, index] for index in range(self.losses.shape[1])]
        order = np.lexsort((fine, *reversed(others), -self.accuracy[fine]))
        return int(fine[order[0]])

    def hypervolume(self) -> float:
        """The share of the space below the reference that the front dominates, from 0 to 1: the reference has no
        accuracy, and the costs of the limits, or of the largest network where there is no limit."""
        losses = self.losses[self.feasible] / self.reference
        losses[:, [is_maximised(metric) for metric in self.problem.objectives]] += 1
        inside = losses[(losses < 1).all(axis=1)]
        return float(hypervolume(inside, np.ones(losses.shape[1]))) if len(inside) else 0.0


def _reference(problem: Problem) -> Array:
    """The scale of each objective."""
    codes = problem.codes.of([problem.space.largest(), problem.space.smallest()])
    columns = problem.columns(codes, np.array([100.0, 100.0]))
    found = []
    for metric in problem.objectives:
        limits = [one.limit for one in problem.constraints if one.metric == metric and one.at_most]
        largest = 100.0 if metric == ACCURACY else float(columns[metric].max())
        found.append(min([*limits, largest]) if not is_maximised(metric) else largest)
    return np.array(found)
