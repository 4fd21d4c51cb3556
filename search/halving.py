"""Successive halving: many networks are judged on few images, and only the better ones on more.

What a network is worth on a share of the images is an evaluation like any other, in a study of its own: it is shared
among processes, known after an interruption, and the same whoever made it.
"""

from __future__ import annotations

import numpy as np

from .codes import Array
from .fronts import select

GROUP = 16
"""Networks of a batch that compete with each other, in the order in which they were asked for."""


def shares(rungs: int) -> list[float]:
    """Of the images, the smallest first: 1 / 2 ** rungs, and so on, until all."""
    return [0.5**rung for rung in range(rungs, -1, -1)]


def better_half(rows: Array, losses: Array, excess: Array, group: int = GROUP) -> Array:
    """Of each group that is left, at least one. `rows` are places in the batch, and rise; `losses` and `excess` are
    theirs, as the search ranks networks; a single objective ranks alone, and of equal ones the first is better."""
    kept = []
    for number in np.unique(rows // group):
        mine = np.flatnonzero(rows // group == number)
        half = max(1, len(mine) // 2)
        if losses.shape[1] == 1:
            best = np.argsort(losses[mine, 0], kind="stable")[:half]
        else:
            best = select(losses[mine], excess[mine], half)
        kept.append(np.sort(rows[mine[best]]))
    return np.concatenate([np.zeros(0, dtype=np.int64), *kept])
