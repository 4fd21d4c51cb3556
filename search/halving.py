"""Successive halving: many networks are judged on few images, and only the better ones on more.

What a network is worth on a share of the images is an evaluation like any other, in a study of its own: it is shared
among processes, known after an interruption, and the same whoever made it.
"""

from __future__ import annotations

import numpy as np

from .codes import Array

GROUP = 16
"""Networks of a batch that compete with each other, in the order in which they were asked for."""


def shares(rungs: int) -> list[float]:
    """Of the images, the smallest first: 1 / 2 ** rungs, and so on, until all."""
    return [0.5**rung for rung in range(rungs, -1, -1)]


def better_half(rows: Array, accuracy: Array, group: int = GROUP) -> Array:
    """Of each group that is left, at least one. `rows` are places in the batch, and rise; `accuracy` is theirs."""
    kept = []
    for number in np.unique(rows // group):
        mine = np.flatnonzero(rows // group == number)
        order = np.argsort(-accuracy[mine], kind="stable")
        kept.append(np.sort(rows[mine[order[: max(1, len(mine) // 2)]]]))
    return np.concatenate([np.zeros(0, dtype=np.int64), *kept])
