"""Networks within the constraints: drawing them, and saying how far away they are where there are none."""

from __future__ import annotations

import numpy as np

from supernet import SpecError

from .codes import Array, distinct, keys
from .exact import CostDistribution, enumerate_codes
from .problem import Constraint, Problem

DRAWN = 4096
"""Networks looked at in one go."""
TRIES = 8
"""Times that so many are drawn from the whole space before the tightest constraint is drawn from directly."""
LISTED = 50_000
"""Networks of a space that are listed rather than drawn again and again where few are left."""
CLIMBS = 60
"""Generations in which the excess is brought down where no feasible network was met by chance."""


class Feasible:
    """Constraints on accuracy are left out: only an evaluation knows it."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.codes = problem.codes
        self._every: Array | None = None
        self._narrow: CostDistribution | None = None
        self._window = (0.0, 0.0)

    def excess(self, codes: Array) -> Array:
        return self.problem.excess(self.problem.columns(codes))

    def draw(self, rng: np.random.Generator, number: int, known: set[bytes] | None = None) -> Array:
        """Different networks, none in `known`; fewer where there are no more, or hardly any."""
        seen = set(known or ())
        found = [self.codes.empty()]
        count = 0
        for attempt in range(4 * TRIES):
            drawn = self._drawn(rng, max(DRAWN, 2 * number), narrow=attempt >= TRIES)
            drawn = drawn[self.excess(drawn) == 0]
            fresh = drawn[distinct(drawn, seen)]
            seen |= set(keys(fresh))
            found.append(fresh)
            count += len(fresh)
            if count >= number:
                break
            if self.problem.space.size <= LISTED:
                found.append(self._listed(rng, seen))
                break
            if not count and attempt >= 2 * TRIES:
                found.append(self._climbed(rng, seen))
                break
        return np.concatenate(found)[:number]

    def check(self, rng: np.random.Generator) -> None:
        """SpecError where no network keeps all constraints, or none was found: it names the nearest one."""
        for index, constraint in enumerate(self.problem.constraints):
            self._check_alone(index, constraint)
        if len(self.draw(rng, 1)):
            return
        nearest = self.nearest(rng)
        broken = [
            f"{constraint} by {_by(share)}"
            for constraint, share in zip(self.problem.constraints, self._shares(nearest), strict=True)
            if share
        ]
        raise SpecError(
            "constraints",
            "no network was found that keeps all of them; the nearest breaks "
            f"{' and '.join(broken)}. It has {self._in_words(nearest)}",
        )

    def nearest(self, rng: np.random.Generator) -> Array:
        """The code with the least excess that was found."""
        codes = self.codes.draw(rng, DRAWN)
        for generation in range(CLIMBS):
            best = codes[np.argsort(self.excess(codes), kind="stable")[:256]]
            rate = 0.2 if generation % 2 else 0.03
            codes = np.concatenate([best, *(self.codes.mutate(best, rng, rate) for _ in range(4))])
        found: Array = codes[int(np.argmin(self.excess(codes)))]
        return found

    def _listed(self, rng: np.random.Generator, seen: set[bytes]) -> Array:
        if self._every is None:
            codes = enumerate_codes(self.problem.space)
            self._every = codes[self.excess(codes) == 0]
        left = self._every[distinct(self._every, seen)]
        return left[rng.permutation(len(left))]

    def _climbed(self, rng: np.random.Generator, seen: set[bytes]) -> Array:
        nearest = self.nearest(rng)[None]
        around = np.concatenate([nearest, self.codes.mutate(np.repeat(nearest, DRAWN, axis=0), rng, 0.05)])
        around = around[self.excess(around) == 0]
        return around[distinct(around, seen)]

    def _drawn(self, rng: np.random.Generator, number: int, narrow: bool) -> Array:
        if not narrow or not self.problem.constraints:
            return self.codes.draw(rng, number)
        if self._narrow is None:
            self._narrow, self._window = self._tightest(rng)
        if self._narrow is None:
            return self.codes.draw(rng, number)
        return self._narrow.draw(rng, number, *self._window)

    def _tightest(self, rng: np.random.Generator) -> tuple[CostDistribution | None, tuple[float, float]]:
        """The distribution of the cost whose constraint random networks break most often."""
        columns = self.problem.columns(self.codes.draw(rng, DRAWN))
        additive = [one for one in self.problem.constraints if one.metric in self.problem.costs.metrics]
        if not additive:
            return None, (0.0, 0.0)
        hardest = max(additive, key=lambda one: float((one.excess(columns[one.metric]) > 0).mean()))
        same = [one for one in additive if one.metric == hardest.metric]
        low = max([one.limit for one in same if not one.at_most], default=0.0)
        high = min([one.limit for one in same if one.at_most], default=np.inf)
        return self.problem.costs.distribution(hardest.metric), (low, high)

    def _check_alone(self, index: int, constraint: Constraint) -> None:
        if constraint.metric not in self.problem.costs.metrics:
            return
        distribution = self.problem.costs.distribution(constraint.metric)
        best, code = distribution.cheapest() if constraint.at_most else distribution.dearest()
        short = float(constraint.excess(np.array([best]))[0])
        if short > 0:
            which = "smallest" if constraint.at_most else "largest"
            raise SpecError(
                f"constraints[{index}]",
                f"no network of the space keeps {constraint}: the {which} misses it by {_by(short)}. "
                f"It has {self._in_words(np.asarray(code))}",
            )

    def _shares(self, code: Array) -> list[float]:
        columns = self.problem.columns(code[None])
        return [
            float(one.excess(columns[one.metric])[0]) if one.metric in columns else 0.0
            for one in self.problem.constraints
        ]

    def _in_words(self, code: Array) -> str:
        return self.problem.in_words(self.problem.columns(code[None]), 0)


def _by(share: float) -> str:
    return f"{share:.1%}" if share < 1 else f"a factor of {1 + share:,.1f}"
