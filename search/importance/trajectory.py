"""From the largest network of a space to one that no action makes smaller: always the action that loses the least
importance for the time it gains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from supernet.space.moves import smaller

from ..codes import Array, Codes
from ..problem import Problem
from .worth import Importances, Worth


@dataclass(frozen=True)
class Trajectory:
    """The networks on the way, the largest first."""

    codes: Array
    actions: tuple[str, ...]
    """What led to each but the first."""
    cost: Array
    """Of each network, as a share of the largest one's: its latency, the mean of several devices', or its
    multiply-accumulates where there is no table."""
    worth: Array
    """The importance that each still has."""


def slim(problem: Problem, importances: Importances) -> Trajectory:
    """Actions are those of `space.smaller`. Each gains time; where none does, it keeps it and spares arithmetic or
    parameters."""
    space, worth = problem.space, Worth(problem.space, importances)
    code = Codes(space).of([space.largest()])[0]
    bill = Bill(problem, code)
    codes, actions, worths = [code], [], [worth(space.largest())]
    while True:
        found = list(smaller(space, code.tolist()))
        nearby = np.array([one for _, one in found], dtype=np.int32).reshape(len(found), len(code))
        gained = bill(code[None]) - bill(nearby)
        less = np.flatnonzero(_positive(gained))
        if not len(less):
            break
        after = np.array([worth(space.decode(one.tolist())) for one in nearby[less]])
        best = int(np.argmin(_price(worths[-1] - after, gained[less, 0])))
        code = nearby[less[best]]
        codes.append(code)
        actions.append(found[less[best]][0])
        worths.append(float(after[best]))
    way = np.array(codes)
    return Trajectory(way, tuple(actions), bill(way)[:, 0], np.array(worths))


class Bill:
    """`bill(codes)` has for each network what is to become less: time, then arithmetic, then parameters, each as a
    share of the largest network's."""

    def __init__(self, problem: Problem, largest: Array) -> None:
        self._problem = problem
        self._metrics = [problem.costs.latencies or ["macs"], ["macs"], ["params"]]
        self._units = problem.columns(largest[None])

    def __call__(self, codes: Array) -> Array:
        columns = self._problem.columns(codes)
        shares = {metric: columns[metric] / self._units[metric] for metrics in self._metrics for metric in metrics}
        return np.stack([sum(shares[one] for one in metrics) / len(metrics) for metrics in self._metrics], axis=1)


def _positive(gained: Array) -> Array:
    """Whether the first gain that is not zero is a true one."""
    found = np.zeros(len(gained), dtype=bool)
    undecided = ~found
    for column in gained.T:
        found |= undecided & (column > 0)
        undecided &= column == 0
    return found


def _price(lost: Array, gained: Array) -> Array:
    """Importance for time. An action that gains no time comes last; one that loses no importance first, the more it
    gains."""
    price = np.where(gained > 0, lost / np.maximum(gained, 1e-300), np.inf)
    return np.where((gained > 0) & (lost <= 0), -gained, price)


def spread(cost: Array, excess: Array, number: int) -> Array:
    """Which networks of a trajectory are looked at, in this order: the first that keeps all constraints, then of those
    that do always the one whose cost is farthest from all before it. Where they are too few, the others follow, the
    nearest to the constraints first."""
    feasible = np.flatnonzero(excess == 0)
    found = feasible[:1].tolist()
    apart = np.abs(cost[feasible] - cost[found[0]]) if found else np.zeros(0)
    left = np.arange(len(feasible)) > 0
    while left.any() and len(found) < number:
        nth = int(np.argmax(np.where(left, apart, -1.0)))
        left[nth] = False
        found.append(int(feasible[nth]))
        apart = np.minimum(apart, np.abs(cost[feasible] - cost[found[-1]]))
    others = np.flatnonzero(excess > 0)
    found += others[np.argsort(excess[others], kind="stable")].tolist()
    return np.array(found[:number], dtype=np.int64)
