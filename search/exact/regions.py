"""Storage of the sums: vectors over cells, one after the other in one array, so that networks which stand at different
ones are looked up together."""

from __future__ import annotations

import numpy as np

from supernet import SpecError

Array = np.ndarray
_LARGEST = 2**28


class Region:
    """For each state (a resolution and a width), `vectors` vectors over the cells from `low` - `margin` to `high`, and
    a zero at both ends. Only from `low` on are they ever other than 0."""

    def __init__(self, low: Array, high: Array, margin: Array, vectors: int) -> None:
        self.low, self.high = low, high
        self.first = low - margin - 1
        self.length = high + 2 - self.first
        self.start = np.concatenate([[0], np.cumsum(vectors * self.length)[:-1]])
        size = int((vectors * self.length).sum())
        if size > _LARGEST:
            rule = f"with fewer bins they would fit into {8 * _LARGEST / 1e9:.0f} GB"
            raise SpecError("bins", f"the sums of a stage would take {8 * size / 1e9:.0f} GB; {rule}")
        self.values = np.zeros(size)

    def vector(self, state: int, number: int) -> Array:
        """Its values from `low` to `high`, to be read and written."""
        start = self.start[state] + number * self.length[state] - self.first[state]
        return self.values[start + self.low[state] : start + self.high[state] + 1]

    def place(self, state: Array, cell: Array) -> Array:
        """Where the first vector of a state has this cell, which must be from `low` - `margin` to `high`. That of
        vector n is n * length further."""
        return self.start[state] + (cell - self.first[state])

    def look_up(self, state: Array, cell: Array, number: Array | int = 0) -> Array:
        """Any cells."""
        length = self.length[state]
        inside = np.clip(cell - self.first[state], 0, length - 1)
        found: Array = self.values.take(self.start[state] + number * length + inside)
        return found


def add_shifted(to: Array, source: Array, shift: int, factor: float = 1.0) -> None:
    """In place: each value of the source, moved by `shift` and times `factor`. What falls off an end must be 0."""
    start = max(0, shift)
    end = max(start, min(len(to), len(source) + shift))
    part = source[start - shift : end - shift]
    to[start:end] += part if factor == 1 else factor * part


def choose(weights: Array, rng: np.random.Generator) -> Array:
    """For each column a row, with probabilities in proportion to the weights; never one of weight 0. The weights are
    summed up in place."""
    for row in range(1, len(weights)):
        weights[row] += weights[row - 1]
    # The factor keeps rounding from making the product of the sum and a number just below 1 the whole sum.
    target = rng.random(weights.shape[1]) * (1 - 2.0**-52) * weights[-1]
    chosen = np.zeros(weights.shape[1], dtype=np.int64)
    for row in weights[:-1]:
        chosen += row <= target
    return chosen
