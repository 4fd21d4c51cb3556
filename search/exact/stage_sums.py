"""How the cost of a network up to the end of a stage is distributed: sums over all its choices, kept so that a network
can be drawn from them backwards.

Costs are cells of a grid. For each resolution and width of the stage there are these vectors over cells:
  mixes   what comes before the stage with the blocks of a mix, each block relative to the cheapest option of its kind;
  stops   for each number j of main blocks, the mixes that go with it, with the cheapest options' costs of all blocks;
  ends    ends[j] = stops[j] + the sum over a main block's options, each relative to the cheapest, of ends[j + 1].
ends[0] is the distribution up to the end of the stage. The last line, Horner's rule for a sum over numbers of blocks,
saves a vector for each pair of number and mix; relative costs keep the vectors short.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .mixes import Mixes
from .parts import Array, StageParts
from .regions import Region, add_shifted


@dataclass(frozen=True)
class Kind:
    """A kind of block, in cells by state: its cheapest option, and by state and option what is more than that."""

    least: Array
    more: Array
    weight: float
    """Of each option."""

    @property
    def spread(self) -> Array:
        found: Array = self.more.max(axis=1)
        return found

    def add(self, to: Array, source: Array, state: int) -> None:
        """In place: the source with one block more."""
        for more, number in zip(*np.unique(self.more[state], return_counts=True), strict=True):
            add_shifted(to, source, int(more), self.weight * float(number))


class StageSums:
    """A state is a resolution and a width: resolution * number of widths + width. `before` has the distribution up to
    the stage, by resolution and width that comes in, as its first vectors. `weights` are those of the numbers of blocks
    by kind; `uniform` says whether a block's options share a weight of 1, or have a weight of 1 each. (For all other
    choices that makes no difference: every network has as many of them, with as many options.)"""

    def __init__(self, cells: StageParts, mixes: Mixes, weights: list[float], before: Region, uniform: bool) -> None:
        self.cells, self.mixes, self.before = cells, mixes, before
        self.num_widths = cells.num_widths
        self.weights = mixes.weights(weights)
        kinds = [_kind(kind, uniform) for kind in cells.kinds]
        self.main = None if mixes.main is None else kinds[mixes.main]
        self.others = [kinds[kind] for kind in mixes.others]
        self.least = self._of_blocks([kind.least for kind in kinds])
        """By number of main blocks, mix and state: the cells of the cheapest blocks."""
        self.up_to_mix, self.ends = self._regions([kind.spread for kind in kinds])
        for state in range(len(cells.entry) * self.num_widths):
            self._fill(state)

    def _of_blocks(self, by_kind: list[Array]) -> Array:
        """By number of main blocks, mix and state: the sum over the blocks."""
        mixes = self.mixes
        found = np.zeros((1 + mixes.most, len(mixes.mixes), len(self.cells.entry) * self.num_widths), dtype=np.int64)
        for at, kind in enumerate(mixes.others):
            found += mixes.numbers[None, :, at, None] * by_kind[kind]
        if mixes.main is not None:
            found += np.arange(1 + mixes.most)[:, None, None] * by_kind[mixes.main]
        return found

    def _sources(self, state: int) -> list[tuple[int, int]]:
        """The states of the stage before, and the cells of each entry from there."""
        resolution, width = divmod(state, self.num_widths)
        return [
            (resolution * self.cells.entry.shape[1] + source, int(entry))
            for source in self.cells.sources(width)
            for entry in self.cells.entry[resolution, source, width]
        ]

    def _regions(self, spreads: list[Array]) -> tuple[Region, Region]:
        mixes, before = self.mixes, self.before
        sources = [self._sources(state) for state in range(len(self.cells.entry) * self.num_widths)]
        low = np.array([min(before.low[one] + entry for one, entry in of_state) for of_state in sources])
        high = np.array([max(before.high[one] + entry for one, entry in of_state) for of_state in sources])
        spread, allowed = self._of_blocks(spreads), mixes.counts >= 0
        no_margin = np.zeros_like(low)
        margin = np.max([no_margin, *(spreads[kind] for kind in mixes.others)], axis=0)
        up_to_mix = Region(low, high + spread[0].max(axis=0), margin, len(mixes.mixes))
        least, most = self.least[allowed].min(axis=0), (self.least + spread)[allowed].max(axis=0)
        main_margin = no_margin if mixes.main is None else spreads[mixes.main]
        return up_to_mix, Region(low + least, high + most, main_margin, 2 * (1 + mixes.most))

    def _fill(self, state: int) -> None:
        mixes, up_to_mix, ends = self.mixes, self.up_to_mix, self.ends
        start = up_to_mix.vector(state, 0)
        for source, entry in self._sources(state):
            shift = int(self.before.low[source] + entry - up_to_mix.low[state])
            add_shifted(start, self.before.vector(source, 0), shift)
        for number in range(1, len(mixes.mixes)):
            less = up_to_mix.vector(state, mixes.fewer[number])
            self.others[mixes.first[number]].add(up_to_mix.vector(state, number), less, state)
        for blocks in reversed(range(1 + mixes.most)):
            stops = ends.vector(state, 1 + mixes.most + blocks)
            for mix in np.flatnonzero(self.weights[blocks]):
                shift = int(up_to_mix.low[state] + self.least[blocks, mix, state] - ends.low[state])
                add_shifted(stops, up_to_mix.vector(state, mix), shift, float(self.weights[blocks, mix]))
            end = ends.vector(state, blocks)
            end += stops
            if self.main is not None and blocks < mixes.most:
                self.main.add(end, ends.vector(state, blocks + 1), state)


def _kind(cells: Array, uniform: bool) -> Kind:
    by_state = cells.reshape(-1, cells.shape[2])
    least = by_state.min(axis=1)
    return Kind(least, by_state - least[:, None], 1 / cells.shape[2] if uniform else 1.0)
