"""The distribution of a whole space over a grid of costs, and drawing networks from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .arrangements import Arrangements
from .grid import Grid
from .mixes import Mixes
from .parts import Array, Parts
from .regions import Region, add_shifted, choose
from .rows import Rows, StageRows
from .stage_draws import draw_stage
from .stage_sums import StageSums

WEIGHTINGS = ("choices", "networks")
_AT_ONCE = 8192
"""Networks drawn at once: few enough that what is known of them stays near the processor."""
_WEIGHTS_AT_ONCE = 2_000_000


class Sums:
    """`totals` has the weight of all networks of one resolution and cost; the arrays `resolution` and `cell` say of
    which. With the weighting "networks" each weighs 1; with "choices" weights are in proportion to the probability that
    `space.sample` has for it."""

    def __init__(self, grid: Grid, arrangements: Sequence[Arrangements], weighting: str) -> None:
        self.cells, uniform = grid.cells, weighting == "choices"
        self.starts = _starts(self.cells)
        self.stages: list[StageSums] = []
        before = self.starts
        for stage, ways in zip(self.cells.stages, arrangements, strict=True):
            weights = ways.share if uniform else [float(number) for number in ways.ways]
            self.stages.append(StageSums(stage, Mixes(ways), weights, before, uniform))
            before = self.stages[-1].ends
        self.ends = before
        most = max(array[0].size for array in self.cells.all())
        most = max([most, *(len(stage.mixes.mixes) for stage in self.stages)])
        self.at_once = max(1, min(_AT_ONCE, _WEIGHTS_AT_ONCE // most))
        """Networks to draw together, as many as go well."""
        totals = [self._total(index) for index in range(len(self.cells.stem))]
        self.totals = np.concatenate([total for _, total in totals])
        self.cell = np.concatenate([low + np.arange(len(total)) for low, total in totals])
        self.resolution = np.repeat(np.arange(len(totals)), [len(total) for _, total in totals])

    def _total(self, resolution: int) -> tuple[int, Array]:
        """The lowest cell, and the weights from there on."""
        head = self.cells.head[resolution]
        states = slice(resolution * len(head), (resolution + 1) * len(head))
        low = int((self.ends.low[states, None] + head).min())
        found = np.zeros(int((self.ends.high[states, None] + head).max()) + 1 - low)
        for width, options in enumerate(head):
            state = resolution * len(head) + width
            for cells in options:
                add_shifted(found, self.ends.vector(state, 0), int(self.ends.low[state] + cells - low))
        return low, found

    def draw(self, rng: np.random.Generator, number: int, among: Array) -> Rows:
        """Networks whose resolution and cell are one of these entries of `totals`."""
        below = np.cumsum(self.totals[among])
        target = rng.random(number) * (1 - 2.0**-52) * below[-1]
        at = among[np.searchsorted(below, target, side="right")]
        at.sort()  # neighbours look up the same sums: half the time
        resolution, cell = self.resolution[at], self.cell[at]
        width, head, cell = self._draw_head(rng, resolution, cell)
        stages: list[StageRows] = []
        for stage in reversed(self.stages):
            rows, width, cell = draw_stage(stage, rng, resolution, width, cell)
            stages.insert(0, rows)
        fitting = (cell == self.cells.stem[resolution].T) & (self.cells.stem_width[:, None] == width)
        stem = choose(fitting.astype(np.float64), rng)
        return Rows(resolution, stem, tuple(stages), head)

    def _draw_head(self, rng: np.random.Generator, resolution: Array, cell: Array) -> tuple[Array, Array, Array]:
        num_widths, num_options = self.cells.head.shape[1:]
        widths, options = np.divmod(np.arange(num_widths * num_options)[:, None], num_options)
        before = cell - self.cells.head[resolution, widths, options]
        chosen = choose(self.ends.look_up(resolution * num_widths + widths, before), rng)
        width, option = np.divmod(chosen, num_options)
        return width, option, before[chosen, np.arange(len(cell))]


def _starts(cells: Parts) -> Region:
    """The stems, by resolution and width."""
    stems = [np.flatnonzero(cells.stem_width == width) for width in range(cells.stem_width.max() + 1)]
    low = np.stack([cells.stem[:, mine].min(axis=1) for mine in stems], axis=1).ravel()
    high = np.stack([cells.stem[:, mine].max(axis=1) for mine in stems], axis=1).ravel()
    found = Region(low, high, np.zeros_like(low), 1)
    for state in range(len(low)):
        resolution, width = divmod(state, len(stems))
        np.add.at(found.vector(state, 0), cells.stem[resolution, stems[width]] - low[state], 1.0)
    return found
