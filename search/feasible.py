"""Networks within the constraints: drawing them, and saying how far away they are where there are none."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from supernet import SpecError

from .codes import Array, distinct, keys
from .costs import BYTES, SIZE, show, show_reached
from .exact import enumerate_codes
from .problem import Constraint, Problem

DRAWN = 4096
"""Networks looked at in one go."""
TRIES = 8
"""Times that so many are drawn from the whole space before the tightest window is drawn from directly."""
LOOKED_AT, AT_ONCE = 400_000, 50_000
"""Networks from the cells of that window that are looked at for one answer, about three seconds, and in one go."""
FRUITLESS = 2
"""Times that nothing new came from there where something did before, after which it is taken to hold no more."""
LISTED = 50_000
"""Networks of a space that are listed rather than drawn again and again where few are left."""
WALKED = 200
"""Networks of a window whose neighbours are looked at where drawing finds no more."""
CLIMBS = 60
"""Generations in which the excess is brought down where no feasible network was met by chance."""


class Window(NamedTuple):
    """All that the constraints say of a cost that is a sum."""

    metric: str
    low: float
    high: float

    def holds(self, values: Array) -> Array:
        found: Array = (values >= self.low) & (values <= self.high)
        return found


class Feasible:
    """Constraints on accuracy are left out: only an evaluation knows it."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.codes = problem.codes
        self._every: Array | None = None
        self._tightest: Window | None = None
        self.is_laborious = False
        """Whether the last draw had to look at so many networks of that window that it took seconds."""

    def excess(self, codes: Array) -> Array:
        return self.problem.excess(self.problem.columns(codes))

    def draw(self, rng: np.random.Generator, number: int, known: set[bytes] | None = None) -> Array:
        """Different networks, none in `known`; fewer where there are no more, or hardly any."""
        found, self.is_laborious = _Found(self, number, set(known or ())), False
        for _ in range(TRIES):
            found.add(self.codes.draw(rng, max(DRAWN, 2 * number)))
            if found.is_enough:
                break
        if not found.is_enough and self.problem.space.size <= LISTED:
            found.add(self._listed(rng))
        elif not found.is_enough:
            self._from_window(rng, found)
            if not found.is_enough:
                self._walk(rng, found)
        return found.codes()

    def check(self, rng: np.random.Generator) -> None:
        """SpecError where no network keeps all constraints, or none was found: it names the nearest one."""
        for index, constraint in enumerate(self.problem.constraints):
            self._check_alone(index, constraint)
        if (self.excess(self._ends()) == 0).any() or len(self.draw(rng, 1)):
            return
        nearest = self.nearest(rng)
        broken = [
            f"{self._missed(constraint, nearest)}, it has {self._reached(constraint, nearest)}"
            for constraint in self.problem.constraints
            if self._short(constraint, nearest) > 0
        ]
        raise SpecError(
            "constraints",
            "no network was found that keeps all of them; the nearest breaks "
            f"{' and '.join(broken)}. It has {self._in_words(nearest)}",
        )

    def nearest(self, rng: np.random.Generator) -> Array:
        """The code with the least excess that was found."""
        codes = np.concatenate([self.codes.draw(rng, DRAWN), self._ends()])
        for generation in range(CLIMBS):
            best = codes[np.argsort(self.excess(codes), kind="stable")[:256]]
            rate = 0.2 if generation % 2 else 0.03
            codes = np.concatenate([best, *(self.codes.mutate(best, rng, rate) for _ in range(4))])
        found: Array = codes[int(np.argmin(self.excess(codes)))]
        return found

    # --- where few are left --------------------------------------------------------------------------------------

    def _listed(self, rng: np.random.Generator) -> Array:
        if self._every is None:
            codes = enumerate_codes(self.problem.space)
            self._every = codes[self.excess(codes) == 0]
        return self._every[rng.permutation(len(self._every))]

    def _from_window(self, rng: np.random.Generator, found: _Found) -> None:
        """From the window of cost that random networks miss most often."""
        if self._tightest is None:
            columns = self.problem.columns(self.codes.draw(rng, DRAWN))
            windows = self._windows()
            if not windows:
                return
            self._tightest = min(windows, key=lambda one: float(one.holds(columns[one.metric]).mean()))
        metric, low, high = self._tightest
        left, fruitless = LOOKED_AT, 0
        distribution = self.problem.costs.distribution(metric)
        while left > 0 and not found.is_enough and (fruitless < FRUITLESS or not found.count):
            codes, looked_at = distribution.look(rng, DRAWN, min(left, AT_ONCE), low, high)
            if not looked_at:
                return
            fruitless = 0 if found.add(codes) else fruitless + 1
            left -= looked_at
            self.is_laborious = left < LOOKED_AT - AT_ONCE

    def _walk(self, rng: np.random.Generator, found: _Found) -> None:
        """Around the ends of the costs and what was found: there windows hold few networks, and near each other."""
        starts = np.concatenate([self._ends(), found.codes(), self._inside(found.known)])
        starts = starts[self.excess(starts) == 0]
        if not len(starts):
            starts = self.nearest(rng)[None]
            starts = starts[self.excess(starts) == 0]
        left = list(starts[distinct(starts)])
        seen = set(keys(starts))
        for _ in range(WALKED):
            if found.is_enough or not left:
                return
            code = left.pop(0)
            found.add(code[None])
            near = self.problem.codes.neighbours(code)
            near = near[self.excess(near) == 0]
            near = near[distinct(near, seen)]
            seen |= set(keys(near))
            left += list(near)
            found.add(near)

    def _inside(self, known: set[bytes]) -> Array:
        """Of those that are known, the first in an order that is always the same."""
        first = sorted(known)[:WALKED]
        return np.array([np.frombuffer(key, dtype=np.int32) for key in first], dtype=np.int32).reshape(
            len(first), self.codes.genes
        )

    def _ends(self) -> Array:
        """The cheapest and the dearest network by each cost that is limited."""
        found = [self.codes.empty()]
        for metric, low, high in self._windows():
            distribution = self.problem.costs.distribution(metric)
            found += [distribution.cheapest()[1][None]] if np.isfinite(high) else []
            found += [distribution.dearest()[1][None]] if np.isfinite(low) else []
        return np.concatenate(found)

    def _windows(self) -> list[Window]:
        """Those that are not empty, a little wider than their limits: whoever looks into one checks what is there."""
        found: dict[str, Window] = {}
        for constraint in self.problem.constraints:
            metric, factor = ("params", BYTES / 1e6) if constraint.metric == SIZE else (constraint.metric, 1.0)
            if metric in self.problem.costs.metrics:
                limit = constraint.limit / factor
                _, low, high = found.get(metric, Window(metric, -np.inf, np.inf))
                if constraint.at_most:
                    found[metric] = Window(metric, low, min(high, limit * (1 + 1e-12)))
                else:
                    found[metric] = Window(metric, max(low, limit * (1 - 1e-12)), high)
        return [one for one in found.values() if one.low <= one.high]

    # --- what is said --------------------------------------------------------------------------------------------

    def _check_alone(self, index: int, constraint: Constraint) -> None:
        metric = "params" if constraint.metric == SIZE else constraint.metric
        if metric not in self.problem.costs.metrics:
            return
        distribution = self.problem.costs.distribution(metric)
        code = np.asarray((distribution.cheapest() if constraint.at_most else distribution.dearest())[1])
        if self._short(constraint, code) > 0:
            which, extreme = ("smallest", "least") if constraint.at_most else ("largest", "most")
            raise SpecError(
                f"constraints[{index}]",
                f"no network of the space keeps {self._missed(constraint, code, f': the {which} misses it')}; the "
                f"{extreme} that one has is {self._reached(constraint, code)}. It has {self._in_words(code)}",
            )

    def _missed(self, constraint: Constraint, code: Array, words: str = "") -> str:
        short = self._short(constraint, code)
        share = short / constraint.limit if constraint.limit > 0 else np.inf
        by = f"a factor of {1 + share:,.1f}" if share >= 1 else f"{share:.1%}" if share >= 1e-3 else ""
        return f"{constraint}{words} by {by or show(constraint.metric, short)}"

    def _reached(self, constraint: Constraint, code: Array) -> str:
        value = float(self.problem.columns(code[None])[constraint.metric][0])
        return f"{constraint.metric} {show_reached(constraint.metric, value, constraint.at_most)}"

    def _short(self, constraint: Constraint, code: Array) -> float:
        """By how much it is broken, in its own unit; 0 where only an evaluation knows."""
        columns = self.problem.columns(code[None])
        if constraint.metric not in columns:
            return 0.0
        off = float(columns[constraint.metric][0]) - constraint.limit
        return max(0.0, off if constraint.at_most else -off)

    def _in_words(self, code: Array) -> str:
        return self.problem.in_words(self.problem.columns(code[None]), 0)


class _Found:
    """Networks within the constraints, as far as they are new."""

    def __init__(self, feasible: Feasible, number: int, known: set[bytes]) -> None:
        self.feasible, self.number, self.known = feasible, number, known
        self._seen = set(known)
        self._codes = [feasible.codes.empty()]
        self.count = 0

    @property
    def is_enough(self) -> bool:
        return self.count >= self.number

    def add(self, codes: Array) -> int:
        """How many of them are new."""
        codes = codes[self.feasible.excess(codes) == 0]
        fresh = codes[distinct(codes, self._seen)]
        self._seen |= set(keys(fresh))
        self._codes.append(fresh)
        self.count += len(fresh)
        return len(fresh)

    def codes(self) -> Array:
        return np.concatenate(self._codes)[: self.number]
