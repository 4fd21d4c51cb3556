"""The cheapest network at each resolution, exactly: the best start is found for each width, stage by stage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .arrangements import Arrangements
from .parts import Parts, StageParts
from .rows import Rows, StageRows

Array = np.ndarray


def cheapest(parts: Parts, arrangements: Sequence[Arrangements]) -> tuple[Array, Rows]:
    """Costs by resolution, and a network for each."""
    every = range(parts.num_resolutions)
    stems = [np.flatnonzero(parts.stem_width == width) for width in range(parts.stem_width.max() + 1)]
    chosen = np.stack([mine[parts.stem[:, mine].argmin(axis=1)] for mine in stems], axis=1)
    costs = np.take_along_axis(parts.stem, chosen, axis=1)
    found = []
    for stage, ways in zip(parts.stages, arrangements, strict=True):
        found.append(_Stage(stage, ways, costs))
        costs = found[-1].costs
    ends = (costs[:, :, None] + parts.head).reshape(len(costs), -1)
    end = ends.argmin(axis=1)
    width, head = np.unravel_index(end, parts.head.shape[1:])
    rows: list[StageRows] = []
    for one in reversed(found):
        rows.insert(0, one.rows(width))
        width = one.width_in[every, width]
    return ends[every, end], Rows(np.arange(len(ends)), chosen[every, width], tuple(rows), head)


class _Stage:
    """The best for each resolution and width: `costs` up to the end of the stage."""

    def __init__(self, parts: StageParts, arrangements: Arrangements, before: Array) -> None:
        self.best = [kind.argmin(axis=2) for kind in parts.kinds]
        numbers = np.array(arrangements.counts, dtype=np.float64).reshape(len(arrangements.counts), len(parts.kinds))
        self.most = [int(most) for most in numbers.max(axis=0)]
        per_block = np.stack([kind.min(axis=2) for kind in parts.kinds], axis=2) if parts.kinds else None
        inside = np.zeros((*before.shape[:1], parts.num_widths, len(numbers)))
        if per_block is not None:
            inside = per_block @ numbers.T
        self.counts = inside.argmin(axis=2)
        starts = before[:, :, None, None] + parts.entry
        if parts.keeps_width:
            starts[:, ~np.eye(parts.num_widths, dtype=bool)] = np.inf
        starts = starts.transpose(0, 2, 1, 3).reshape(*inside.shape[:2], -1)
        start = starts.argmin(axis=2)
        self.width_in, self.entry = np.unravel_index(start, (parts.entry.shape[1], parts.entry.shape[3]))
        self.costs = starts.min(axis=2) + inside.min(axis=2)

    def rows(self, width: Array) -> StageRows:
        """A network for each resolution."""
        at = (np.arange(len(width)), width)
        blocks = [np.repeat(best[at][:, None], most, axis=1) for best, most in zip(self.best, self.most, strict=True)]
        return StageRows(width, self.entry[at], self.counts[at], tuple(blocks))
