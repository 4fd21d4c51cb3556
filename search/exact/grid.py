"""Costs as whole numbers of cells, and how far what they add up to can be from the true cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .arrangements import Arrangements
from .extremes import cheapest
from .parts import Parts

Array = np.ndarray
_EXACT = 2.0**53
"""Whole numbers up to this are exact as floats."""
_LEAST = 1e-9
"""Of the cost: differences below are rounding noise."""


class Grid:
    """`cells` are the parts in whole cells, `cell` is the width of one at each resolution: about `bins` cells lie
    between its cheapest and its dearest network, which cost `low` and `high`.

    Where all costs are whole numbers and `bins` cells suffice, the grid is `exact`: cells times width is the cost. Else
    each part is rounded, and a network's true cost minus that of its cells is from `least_error` to `most_error`: at
    each resolution there are networks with these errors.
    """

    def __init__(self, parts: Parts, arrangements: Sequence[Arrangements], bins: int) -> None:
        self.low = cheapest(parts, arrangements)[0]
        self.high = -cheapest(parts.changed(np.negative), arrangements)[0]
        low, high = self.low, self.high
        size = np.maximum(np.abs(low), np.abs(high))
        whole = _common_divisor(parts)
        self.exact = whole > 0 and float((high - low).max()) <= bins * whole and float(size.max()) < _EXACT
        if self.exact:
            self.cell = np.full(len(low), float(whole))
        else:
            self.cell = np.maximum(np.maximum(high - low, _LEAST * size), np.finfo(float).tiny) / bins
        self.cells = parts.changed(lambda costs: np.rint(costs / self._along(costs)).astype(np.int64))
        self.least_error = self.most_error = np.zeros(len(low))
        if not self.exact:
            errors = parts.changed(lambda costs: costs - np.rint(costs / self._along(costs)) * self._along(costs))
            self.least_error = cheapest(errors, arrangements)[0]
            self.most_error = -cheapest(errors.changed(np.negative), arrangements)[0]

    def _along(self, costs: Array) -> Array:
        return self.cell.reshape(-1, *(1 for _ in costs.shape[1:]))


def _common_divisor(parts: Parts) -> int:
    """Of all costs, or 0 where some are no whole numbers."""
    costs = np.concatenate([np.abs(array).ravel() for array in parts.all()])
    if (costs != np.rint(costs)).any() or costs.max() >= _EXACT:
        return 0
    return int(np.gcd.reduce(costs.astype(np.int64))) or 1
