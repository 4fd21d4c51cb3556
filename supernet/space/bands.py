"""Members of a space by their MACs: bands between the smallest and the largest, and drawing from one of them.

Uniform sampling hardly ever meets the small and the large members. Here each band has a tilt of its own, found by
bisection, under which a random member has the band's MACs on average; what falls outside is drawn again.
"""

from __future__ import annotations

import bisect
import functools
import math
import random
from collections.abc import Callable

from ..counting import count
from ..spec import NetSpec
from .space import Space

_TRIES = 200
_PROBES = 48
_STEEPEST = 24.0
_HALVINGS = 8


class Bands:
    """`number` bands of equal ratio of MACs. A band that no member is known to lie in is left out."""

    def __init__(self, space: Space, number: int) -> None:
        if number < 1:
            raise ValueError(f"number: {number} bands are not at least 1")
        self.space = space
        low, high = count(space.smallest()).macs, count(space.largest()).macs
        if low >= high:
            number = 1
        ratio = (high / low) ** (1 / number)
        self.edges = [low * ratio**index for index in range(number)] + [high + 1.0]
        self.known: dict[int, NetSpec] = {0: space.smallest(), number - 1: space.largest()}
        rng = random.Random(0)  # what a band's tilt is must not depend on who draws first

        @functools.cache
        def mean_macs(tilt: float) -> float:
            return sum(count(space.sample(rng, tilt=tilt)).macs for _ in range(_PROBES)) / _PROBES

        self.tilts = [_tilt(self._middle(band), mean_macs) for band in range(number)]
        for band in range(number):
            self._draw(band, rng)
        self.bands = sorted(self.known)

    def __len__(self) -> int:
        return len(self.bands)

    def of(self, spec: NetSpec) -> int:
        """The number of the band, counted among those that have members."""
        raw = bisect.bisect_right(self.edges, count(spec).macs) - 1
        return min(range(len(self.bands)), key=lambda index: abs(self.bands[index] - raw))

    def limits(self, band: int) -> tuple[float, float]:
        """Lowest MACs, and those the next band begins with."""
        raw = self.bands[band]
        return self.edges[raw], self.edges[raw + 1]

    def sample(self, rng: random.Random, band: int | None = None) -> NetSpec:
        """A random member of a band; without one, of a random band."""
        raw = self.bands[rng.randrange(len(self.bands)) if band is None else band]
        return self._draw(raw, rng) or self.known[raw]

    def _draw(self, raw: int, rng: random.Random) -> NetSpec | None:
        low, high = self.edges[raw], self.edges[raw + 1]
        for attempt in range(_TRIES):
            # Wider and wider around the band's own tilt: a band of few members is hit by chance only.
            tilt = self.tilts[raw] + rng.gauss(0, 0.02 * attempt)
            spec = self.space.sample(rng, tilt=tilt)
            if low <= count(spec).macs < high:
                self.known[raw] = self.known.get(raw, spec)
                return spec
        return None

    def _middle(self, raw: int) -> float:
        return math.sqrt(self.edges[raw] * self.edges[raw + 1])


def _tilt(macs: float, mean_macs: Callable[[float], float]) -> float:
    """The tilt under which a random member has these MACs on average: the mean grows with the tilt."""
    low, high = -_STEEPEST, _STEEPEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if mean_macs(middle) < macs else (low, middle)
    return (low + high) / 2
