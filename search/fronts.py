"""Which networks are better than which when there are several objectives: fronts, crowding, selection, hypervolume.

Losses are rows of numbers, a column for each objective, all to be minimised. One row dominates another if it is nowhere
larger and somewhere smaller; equal rows don't dominate each other.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np

Array = np.ndarray
FRONTS = 64
"""That are found one after the other, rows at once; beyond, row by row."""
PIVOTS = 16
"""Rows with small losses that are compared with all others first; where fronts are small, they dominate most rows."""


def nondominated(losses: Array) -> Array:
    """Whether each row is dominated by no other. Of equal rows, all are or none is."""
    losses = _checked(losses)
    if losses.shape[1] == 1:
        return losses[:, 0] == losses.min(initial=np.inf)
    if losses.shape[1] == 2:
        return _lowest_so_far(losses)
    flat = losses.shape[1] == 3
    decided, left = _pivoted(losses, PIVOTS if flat else len(losses))
    found = np.zeros(len(losses), dtype=bool)
    found[decided] = True
    if len(left):
        found[left] = _swept(losses[left], fronts=1) == 0
    return found


def ranks(losses: Array, enough: int | None = None) -> Array:
    """The number of the front of each row: 0 for the nondominated, 1 for those that are so without them, and so on.
    Once `enough` rows are ranked, all others get the number of the next front."""
    losses = _checked(losses)
    enough = len(losses) if enough is None else min(enough, len(losses))
    if enough <= 0:
        return np.zeros(len(losses), dtype=np.int64)
    if losses.shape[1] > 3:
        return _peeled(losses, enough)
    if losses.shape[1] == 2 and (found := _stripped(losses, enough)) is not None:
        return found
    found = np.unique(losses[:, 0], return_inverse=True)[1] if losses.shape[1] == 1 else _swept(losses)
    last = np.searchsorted(np.cumsum(np.bincount(found)), enough)
    return np.minimum(found, last + 1)


def crowding(losses: Array) -> Array:
    """NSGA-II's crowding distance of each row of one front: how far apart its two neighbours are, as a share of the
    span, summed over the objectives; infinite at the ends. An objective that is the same in all rows counts for
    nothing. Infinite losses count as the largest or smallest finite one."""
    losses = _checked(losses)
    return _crowding_within(losses, np.zeros(len(losses), dtype=np.int64))


def select(losses: Array, excess: Array, number: int) -> Array:
    """The `number` rows that NSGA-II lets survive with domination by constraints, best first, as indices.

    Rows without excess come first, by front and, within it, by crowding; then the others by excess, and where that is
    equal, again by front and crowding. What is equal in all of this keeps its order.
    """
    losses, excess = _checked(losses), np.asarray(excess, dtype=np.float64)
    if excess.shape != (len(losses),) or np.isnan(excess).any():
        raise ValueError(f"excess of shape {excess.shape} is not one number for each of {len(losses)} rows")
    number = max(0, min(number, len(losses)))
    feasible = np.flatnonzero(excess <= 0)
    chosen = _survivors(losses, feasible, ranks(losses[feasible], number), number)
    if len(chosen) == number:
        return chosen
    rest, missing = np.flatnonzero(excess > 0), number - len(chosen)
    rest = rest[excess[rest] <= np.partition(excess[rest], missing - 1)[missing - 1]]
    values, equals = np.unique(excess[rest], return_inverse=True)
    fronts = np.zeros(len(rest), dtype=np.int64)
    for group in np.flatnonzero(np.bincount(equals, minlength=len(values)) > 1):
        fronts[equals == group] = ranks(losses[rest[equals == group]])
    groups = np.unique(equals * len(rest) + fronts, return_inverse=True)[1]
    return np.concatenate([chosen, _survivors(losses, rest, groups, missing)])


def hypervolume(losses: Array, reference: Sequence[float] | Array) -> float:
    """The volume that is dominated by some row and dominates the reference. Exact; quick for up to 3 objectives, and
    for small fronts with more."""
    losses, reference = _checked(losses), np.asarray(reference, dtype=np.float64)
    if reference.shape != (losses.shape[1],) or not np.isfinite(reference).all():
        raise ValueError(f"the reference {reference.tolist()} is not {losses.shape[1]} finite numbers")
    losses = losses[(losses < reference).all(axis=1)]
    if np.isinf(losses).any():
        raise ValueError("an infinite loss has no hypervolume")
    return _volume(losses, reference)


def _checked(losses: Array) -> Array:
    found = np.asarray(losses, dtype=np.float64)
    if found.ndim != 2 or found.shape[1] == 0:
        raise ValueError(f"losses of shape {found.shape} are not rows of one objective or more")
    bad = np.isnan(found).any(axis=1)
    if bad.any():
        raise ValueError(f"losses[{int(bad.argmax())}] has a value that is not a number")
    return found


# --- fronts ----------------------------------------------------------------------------------------------------------


def _by_columns(losses: Array) -> tuple[Array, Array]:
    """Rows in lexicographic order, and of each in that order whether it differs from the one before. A row comes after
    all that dominate it."""
    order = np.lexsort(losses.T[::-1])
    is_new = np.ones(len(losses), dtype=bool)
    is_new[1:] = (losses[order[1:]] != losses[order[:-1]]).any(axis=1)
    return order, is_new


def _lowest_so_far(losses: Array) -> Array:
    order, is_new = _by_columns(losses)
    second = losses[order[is_new], 1]
    before = np.minimum.accumulate(np.concatenate([[np.inf], second]))[:-1]
    lower = second < before
    lower[:1] = True
    found = np.empty(len(losses), dtype=bool)
    found[order] = lower[np.cumsum(is_new) - 1]
    return found


def _stripped(losses: Array, enough: int) -> Array | None:
    """The ranks where a few fronts are enough: each is stripped off the sorted rows in one go. None where they are too
    many for that."""
    order, is_new = _by_columns(losses)
    second, which = losses[order[is_new], 1], np.cumsum(is_new) - 1
    sizes = np.bincount(which, minlength=len(second))
    found, left, ranked = np.full(len(second), FRONTS), np.arange(len(second)), 0
    for front in range(FRONTS):
        before = np.minimum.accumulate(np.concatenate([[np.inf], second[left]]))[:-1]
        lower = second[left] < before
        lower[:1] = True
        found[left[lower]] = front
        ranked, left = ranked + int(sizes[left[lower]].sum()), left[~lower]
        if ranked >= enough:
            found[left] = front + 1
            result = np.empty(len(losses), dtype=np.int64)
            result[order] = found[which]
            return result
    return None


def _pivoted(losses: Array, most: int) -> tuple[Array, Array]:
    """Rows that are dominated by none, found by comparing `most` of them with all that are left, and the rows for which
    that decided nothing; as indices."""
    low = np.clip(losses.T, *_finite_span(losses))
    low -= low.min(axis=1, keepdims=True, initial=np.inf)
    low /= np.maximum(low.max(axis=1, keepdims=True, initial=0.0), 1e-300)
    left = np.lexsort((*losses.T[::-1], low.sum(axis=0)))  # after all that dominate it, also where sums are rounded
    columns, found = np.ascontiguousarray(losses[left].T), []
    for _ in range(most):
        if not len(left):
            break
        pivot = columns[:, :1]
        equal = (columns == pivot).all(axis=0)
        keep = (columns < pivot).any(axis=0)
        found.append(left[equal])
        left, columns = left[keep], columns[:, keep]
    return np.concatenate([np.zeros(0, dtype=np.int64), *found]), left


def _swept(losses: Array, fronts: int | None = None) -> Array:
    """The front of each row for two or three objectives; with `fronts`, that many for all that is behind them."""
    order, is_new = _by_columns(losses)
    found = []
    stairs: list[_Stairs] = []
    tails: list[float] = []  # of each front the second of two objectives, of the row that was added last
    rank = 0
    for row, new in zip(losses[order, 1:].tolist(), is_new.tolist(), strict=True):
        if new and len(row) == 1:
            rank = bisect_right(tails, row[0])
            tails[rank : rank + 1] = row
        elif new:
            rank = _first_open(stairs, *row)
            if rank == len(stairs) and rank != fronts:
                stairs.append(_Stairs())
            if rank != fronts:
                stairs[rank].add(*row)
        found.append(rank)
    result = np.empty(len(losses), dtype=np.int64)
    result[order] = found
    return result


def _first_open(stairs: Sequence[_Stairs], y: float, z: float) -> int:
    """The first of some fronts that doesn't cover the point; all before it do."""
    return bisect_left(stairs, True, key=lambda front: not front.covers(y, z))


class _Stairs:
    """Points of a plane that don't dominate each other, by rising `ys` and thus falling `zs`."""

    def __init__(self, y_end: float = np.inf, z_end: float = np.inf) -> None:
        self.ys: list[float] = []
        self.zs: list[float] = []
        self.ends = (y_end, z_end)

    def covers(self, y: float, z: float) -> bool:
        at = bisect_right(self.ys, y)
        return at > 0 and self.zs[at - 1] <= z

    def add(self, y: float, z: float) -> float:
        """A point that is not covered yet; those that it covers go. Returns the area that it adds, up to the ends."""
        ys, zs = self.ys, self.zs
        at = end = bisect_left(ys, y)
        left, top, area = y, zs[at - 1] if at else self.ends[1], 0.0
        while end < len(ys) and zs[end] >= z:
            area += (ys[end] - left) * (top - z)
            left, top = ys[end], zs[end]
            end += 1
        area += ((ys[end] if end < len(ys) else self.ends[0]) - left) * (top - z)
        ys[at:end], zs[at:end] = [y], [z]
        return area


def _peeled(losses: Array, enough: int) -> Array:
    found = np.zeros(len(losses), dtype=np.int64)
    left, front = np.arange(len(losses)), 0
    while len(losses) - len(left) < enough:
        best = nondominated(losses[left])
        found[left[best]] = front
        left, front = left[~best], front + 1
    found[left] = front
    return found


# --- selection -------------------------------------------------------------------------------------------------------


def _survivors(losses: Array, rows: Array, groups: Array, number: int) -> Array:
    distances = _crowding_within(losses[rows], groups)
    return rows[np.lexsort((-distances, groups))[:number]]


def _crowding_within(losses: Array, groups: Array) -> Array:
    """The crowding distance of each row among those of its group."""
    total = np.zeros(len(losses))
    if not len(losses):
        return total
    total[np.bincount(groups)[groups] <= 2] = np.inf
    for column in np.clip(losses.T, *_finite_span(losses)):
        order = np.lexsort((column, groups))
        value, group = column[order], groups[order]
        edge = np.flatnonzero(np.diff(group)) + 1
        first, last = np.concatenate([[0], edge]), np.concatenate([edge, [len(group)]]) - 1
        sizes = last - first + 1
        span = np.repeat(value[last] - value[first], sizes)
        gap = np.zeros(len(group))
        gap[1:-1] = value[2:] - value[:-2]
        gap[first] = gap[last] = np.inf
        total[order] += np.divide(gap, span, out=np.zeros(len(group)), where=span > 0)
    return total


def _finite_span(losses: Array) -> tuple[Array, Array]:
    """The least and the largest finite value of each column, for the clipping of columns."""
    is_finite = np.isfinite(losses)
    low = np.where(is_finite, losses, np.inf).min(axis=0, initial=np.inf)
    high = np.where(is_finite, losses, -np.inf).max(axis=0, initial=-np.inf)
    some = low <= high
    return np.where(some, low, 0.0)[:, None], np.where(some, high, 0.0)[:, None]


# --- hypervolume -----------------------------------------------------------------------------------------------------


def _volume(losses: Array, reference: Array) -> float:
    """All losses are finite and below the reference."""
    if not len(losses):
        return 0.0
    if losses.shape[1] == 1:
        return float(reference[0] - losses.min())
    front = losses[nondominated(losses)]
    if losses.shape[1] == 2:
        front = front[np.lexsort(front.T[::-1])]
        before = np.concatenate([[reference[1]], front[:-1, 1]])
        return float(((reference[0] - front[:, 0]) * (before - front[:, 1])).sum())
    front = front[np.argsort(front[:, -1], kind="stable")]
    return _volume_by_area(front, reference) if losses.shape[1] == 3 else _volume_by_rest(front, reference)


def _volume_by_area(front: Array, reference: Array) -> float:
    """Along the last objective, the area that is dominated so far grows."""
    stairs = _Stairs(float(reference[0]), float(reference[1]))
    volume = area = 0.0
    before = float(front[0, 2])
    for y, z, at in front.tolist():
        volume += area * (at - before)
        before = at
        if not stairs.covers(y, z):
            area += stairs.add(y, z)
    return volume + area * (float(reference[2]) - before)


def _volume_by_rest(front: Array, reference: Array) -> float:
    """What each row adds to those with a smaller last objective: its own box without the part that they dominate, which
    has one objective fewer, since none of them ends the box in the last one (the WFG algorithm, While et al. 2012)."""
    total = 0.0
    for index, row in enumerate(front):
        covered = np.maximum(front[:index, :-1], row[:-1])
        box = float(np.prod(reference[:-1] - row[:-1]))
        total += (box - _volume(covered, reference[:-1])) * float(reference[-1] - row[-1])
    return total
