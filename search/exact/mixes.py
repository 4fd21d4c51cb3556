"""The order in which the blocks of a stage are added up, so that few sums have to be kept.

One kind of block, that of which there may be most, is the main one. The numbers of blocks of the other kinds are a mix.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .arrangements import Arrangements

Array = np.ndarray
Mix = tuple[int, ...]


class Mixes:
    """`mixes` has all that are needed, each after the one with a block less: that of its first kind that has any."""

    def __init__(self, arrangements: Arrangements) -> None:
        counts = arrangements.counts
        kinds = range(len(counts[0]))
        self.main = max(kinds, key=lambda kind: max(one[kind] for one in counts), default=None)
        self.others = [kind for kind in kinds if kind != self.main]
        self.most = 0 if self.main is None else max(one[self.main] for one in counts)
        self.mixes = _closed([self._mix(one) for one in counts])
        index = {mix: number for number, mix in enumerate(self.mixes)}
        self.fewer = np.array([index[_fewer(mix)] for mix in self.mixes])
        """The mix with a block less."""
        self.first = np.array([next((at for at, number in enumerate(mix) if number), -1) for mix in self.mixes])
        """The kind whose block that is, as an index into `others`."""
        self.counts = np.full((1 + self.most, len(self.mixes)), -1)
        """By number of main blocks and mix: the index into the counts of the arrangements, -1 where there is none."""
        for number, one in enumerate(counts):
            self.counts[0 if self.main is None else one[self.main], index[self._mix(one)]] = number
        self.numbers = np.array(self.mixes, dtype=np.int64).reshape(len(self.mixes), len(self.others))

    def _mix(self, counts: Sequence[int]) -> Mix:
        return tuple(counts[kind] for kind in self.others)

    def weights(self, of_counts: Sequence[float]) -> Array:
        """Those of the counts, by number of main blocks and mix."""
        padded = np.array([*of_counts, 0.0])
        found: Array = padded[self.counts]
        return found


def _fewer(mix: Mix) -> Mix:
    """An empty one has itself."""
    for at, number in enumerate(mix):
        if number:
            return (*mix[:at], number - 1, *mix[at + 1 :])
    return mix


def _closed(mixes: Sequence[Mix]) -> list[Mix]:
    found = set(mixes)
    for mix in mixes:
        while any(mix):
            mix = _fewer(mix)
            found.add(mix)
    found.add(tuple(0 for _ in mixes[0]))
    return sorted(found, key=lambda mix: (sum(mix), mix))
