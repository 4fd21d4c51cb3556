"""How one additive cost is distributed over a space, and networks from a window of it, without trying and rejecting."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from latency_lut.population import Population
from latency_lut.units import Unit
from supernet import Space, SpecError

from .arrangements import Arrangements
from .extremes import cheapest
from .grid import Grid
from .parts import Parts, read_parts
from .rows import Rows, Writer
from .sums import WEIGHTINGS, Sums

Array = np.ndarray
BINS = 32_768
_MOST_NETWORKS = 10**300
"""Numbers of networks are floats."""
_EXACT = 2**53
_TRIES, _RAREST = 200_000, 1e-4
"""After so many tries, such a share must have been inside: a window that has less is too narrow for the grid."""
_NOISE = 1e-12
"""Of the cost: what adding up in another order can change."""


class CostDistribution:
    """Of the cost that `Population(space, unit_cost, offset)` gives, which must be a single number.

    Costs stand on a grid of about `bins` cells between the cheapest and the dearest network of each resolution. Where
    they are all whole numbers and the cells suffice, the grid is exact. Else each part of a network is rounded to a
    cell, and `grid_error` says how far at most that moves a network.
    """

    def __init__(self, space: Space, unit_cost: Callable[[Unit], float], offset: float = 0.0, bins: int = BINS) -> None:
        if bins < 1:
            raise SpecError("bins", f"{bins} is not at least 1")
        if space.size >= _MOST_NETWORKS:
            raise SpecError("space", "10**300 networks or more can't be counted")
        self.space, self.offset = space, float(offset)
        known = functools.cache(unit_cost)
        self.population = Population(space, known, self.offset)
        self.parts = read_parts(space, known)
        self.arrangements = [Arrangements(stage.placements) for stage in space.stages]
        self.grid = Grid(self.parts, self.arrangements, bins)
        self._writer = Writer(space, self.arrangements)
        self._known: dict[str, Sums] = {}

    @property
    def grid_error(self) -> float:
        """The largest difference between a network's cost and that of its cells."""
        return float(np.maximum(-self.grid.least_error, self.grid.most_error).max())

    # --- what there is -------------------------------------------------------------------------------------------

    def number(self, *, at_most: float = np.inf, at_least: float = -np.inf) -> int | float:
        """How many networks cost so much, limits included. An int, and exact, where the grid and the offset are and
        the space has less than 2**53 networks. Else a float: on an exact grid it is right to 12 digits, and otherwise
        each limit is off by up to `grid_error`."""
        sums = self._sums("networks")
        costs = self._costs_of(sums)
        found = float(sums.totals[(costs >= at_least) & (costs <= at_most)].sum())
        is_exact = self.grid.exact and self.offset.is_integer() and self.space.size < _EXACT
        return int(found) if is_exact else found

    def cheapest(self) -> tuple[float, Array]:
        """The network that costs least: its cost and code. The grid has no part in it."""
        return self._extreme(self.parts)

    def dearest(self) -> tuple[float, Array]:
        return self._extreme(self.parts.changed(np.negative))

    def _extreme(self, parts: Parts) -> tuple[float, Array]:
        costs, rows = cheapest(parts, self.arrangements)
        code = self._codes(rows, np.random.default_rng(0))[costs.argmin()]
        return float(self.population(code[None])[0]), code

    # --- drawing -------------------------------------------------------------------------------------------------

    def draw(self, rng: np.random.Generator, number: int, low: float, high: float, weighting: str = "choices") -> Array:
        """Codes of `number` networks, independent of each other, that cost from `low` to `high`.

        With the weighting "networks", all networks of the window are equally probable. With "choices", each is as
        probable as among those networks of `space.sample` that lie in the window. SpecError where it has none.
        """
        if not low <= high:
            raise SpecError("window", f"the lower limit {low:.9g} is not at most the upper one, {high:.9g}")
        sums = self._sums(weighting)
        among = self._entries(sums, low, high)
        found = [np.zeros((0, len(self.space.layout.choices)), dtype=np.int32)]
        tried = inside = 0
        while inside < number or not len(among):
            if not len(among) or (tried > _TRIES and inside < _RAREST * tried):
                raise SpecError("window", self._nothing_between(low, high))
            wanted = (number - inside) * (tried + 1) / (inside + 1) if tried else number
            codes, kept = self._some(rng, sums, among, int(1.02 * wanted) + 16, low, high)
            found.append(kept)
            tried, inside = tried + codes, inside + len(kept)
        return np.concatenate(found)[:number]

    def look(self, rng: np.random.Generator, number: int, tries: int, low: float, high: float) -> tuple[Array, int]:
        """As `draw`, but `tries` networks are looked at, or a few more; then what lay in the window has to do. The
        codes, and how many networks were looked at."""
        sums = self._sums("choices")
        among = self._entries(sums, low, high)
        found = [np.zeros((0, len(self.space.layout.choices)), dtype=np.int32)]
        tried = inside = 0
        while len(among) and inside < number and tried < tries:
            codes, kept = self._some(rng, sums, among, number if not tried else tries - tried, low, high)
            found.append(kept)
            tried, inside = tried + codes, inside + len(kept)
        return np.concatenate(found)[:number], tried

    def _some(
        self, rng: np.random.Generator, sums: Sums, among: Array, number: int, low: float, high: float
    ) -> tuple[int, Array]:
        """Of `number` networks, or as many as go at once, from these entries: how many, and those in the window."""
        codes = self._codes(sums.draw(rng, min(sums.at_once, number), among), rng)
        costs = self.population(codes)
        return len(codes), codes[rng.permutation(np.flatnonzero((costs >= low) & (costs <= high)))]

    def _entries(self, sums: Sums, low: float, high: float) -> Array:
        """Of the totals: those whose cells may hold networks of this cost."""
        grid, costs = self.grid, self._costs_of(sums)
        noise = _NOISE * (abs(self.offset) + float(np.abs([grid.low, grid.high]).max()))
        least, most = grid.least_error[sums.resolution] - noise, grid.most_error[sums.resolution] + noise
        return np.flatnonzero((sums.totals > 0) & (costs + most >= low) & (costs + least <= high))

    def _nothing_between(self, low: float, high: float) -> str:
        nearest = (self._next_to(low, below=True), "below it"), (self._next_to(high, below=False), "above it")
        known = " and ".join(f"{cost:.9g} {where}" for cost, where in nearest if cost is not None)
        return f"no network was found that costs from {low:.9g} to {high:.9g}; the nearest ones found cost {known}"

    def _next_to(self, limit: float, below: bool) -> float | None:
        """The nearest cost outside of a limit that some network has; where the grid is not exact, the nearest that was
        found among networks drawn from the nearest cells."""
        sums, rng = self._sums("networks"), np.random.default_rng(0)
        among = self._entries(sums, -np.inf, limit) if below else self._entries(sums, limit, np.inf)
        costs, wide = self._costs_of(sums), 2 * self.grid_error
        while len(among):
            nearest = costs[among].max() if below else costs[among].min()
            is_near = np.abs(costs[among] - nearest) <= wide
            drawn = self.population(self._codes(sums.draw(rng, sums.at_once, among[is_near]), rng))
            outside = drawn[drawn < limit] if below else drawn[drawn > limit]
            if len(outside):
                return float(outside.max() if below else outside.min())
            among = among[~is_near]
        return None

    # --- its parts -----------------------------------------------------------------------------------------------

    def _codes(self, rows: Rows, rng: np.random.Generator) -> Array:
        return self._writer.codes(rows, rng)

    def _sums(self, weighting: str) -> Sums:
        if weighting not in WEIGHTINGS:
            raise SpecError("weighting", f"{weighting!r} is not one of {', '.join(WEIGHTINGS)}")
        if weighting not in self._known:
            self._known[weighting] = Sums(self.grid, self.arrangements, weighting)
        return self._known[weighting]

    def _costs_of(self, sums: Sums) -> Array:
        found: Array = self.offset + sums.cell * self.grid.cell[sums.resolution]
        return found
