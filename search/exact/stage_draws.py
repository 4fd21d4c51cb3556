"""Drawing a stage of many networks at once from its sums, backwards: from where the stage ends to where it begins.

Each choice is drawn with the probability that it has among all networks of that cost.
"""

from __future__ import annotations

import numpy as np

from .parts import Array
from .regions import choose
from .rows import StageRows
from .stage_sums import Kind, StageSums


def draw_stage(
    sums: StageSums, rng: np.random.Generator, resolution: Array, width: Array, cell: Array
) -> tuple[StageRows, Array, Array]:
    """`cell` is what each network costs up to the end of the stage. Besides the stage: the width that comes in, and
    what the network costs up to there."""
    mixes, state = sums.mixes, resolution * sums.num_widths + width
    blocks: dict[int, Array] = {}
    number = np.zeros(len(state), dtype=np.int64)
    if sums.main is not None and mixes.main is not None:
        blocks[mixes.main], number, cell = _draw_main(sums, sums.main, rng, state, cell)
    mix = np.zeros(len(state), dtype=np.int64)
    every = np.arange(len(mixes.mixes))[:, None]
    if len(every) > 1:
        weights = sums.weights[number].T * sums.up_to_mix.look_up(state, cell - sums.least[number, every, state], every)
        mix = choose(weights, rng)
    cell = cell - sums.least[number, mix, state]
    counts = mixes.counts[number, mix]
    for at, kind in enumerate(mixes.others):
        blocks[kind], mix, cell = _draw_others(sums, at, rng, state, mix, cell)
    entry, source, cell = _draw_entry(sums, rng, resolution, width, cell)
    return StageRows(width, entry, counts, tuple(blocks[kind] for kind in sorted(blocks))), source, cell


def _draw_main(
    sums: StageSums, main: Kind, rng: np.random.Generator, state: Array, cell: Array
) -> tuple[Array, Array, Array]:
    """The options of the main blocks, their number, and the cells without what they cost more than the cheapest."""
    most, values = sums.mixes.most, sums.ends.values
    options = np.zeros((len(state), most), dtype=np.int16)
    number = np.full(len(state), most)
    left = cell.copy()
    rows, more = np.arange(len(state)), main.more.T
    place, length = sums.ends.place(state, cell), sums.ends.length[state]
    for blocks in range(most):
        weights = np.empty((1 + len(more), len(rows)))
        weights[0] = values.take(place + (1 + most + blocks) * length)
        weights[0] /= main.weight
        places = (place + (1 + blocks) * length) - more.take(state, axis=1)
        values.take(places, out=weights[1:], mode="clip")  # all are inside; "raise" would copy
        chosen = choose(weights, rng)
        number[rows[chosen == 0]] = blocks
        goes_on = np.flatnonzero(chosen)
        rows, state, place, length = rows[goes_on], state[goes_on], place[goes_on], length[goes_on]
        option = chosen[goes_on] - 1
        options[rows, blocks] = option
        spent = main.more[state, option]
        place = place - spent
        left[rows] -= spent
    return options, number, left


def _draw_others(
    sums: StageSums, at: int, rng: np.random.Generator, state: Array, mix: Array, cell: Array
) -> tuple[Array, Array, Array]:
    """The options of the mix's blocks of one kind, the mix without them, and the cells without what they cost more."""
    mixes, kind = sums.mixes, sums.others[at]
    options = np.zeros((len(state), mixes.numbers[:, at].max()), dtype=np.int16)
    mix, cell = mix.copy(), cell.copy()
    rows = np.flatnonzero(mixes.numbers[mix, at])
    while len(rows):
        mine, fewer = state[rows], mixes.fewer[mix[rows]]
        place = sums.up_to_mix.place(mine, cell[rows]) + fewer * sums.up_to_mix.length[mine]
        chosen = choose(sums.up_to_mix.values.take(place - kind.more.T.take(mine, axis=1)), rng)
        options[rows, mixes.numbers[fewer, at]] = chosen
        cell[rows] -= kind.more[mine, chosen]
        mix[rows] = fewer
        rows = rows[mixes.numbers[fewer, at] > 0]
    return options, mix, cell


def _draw_entry(
    sums: StageSums, rng: np.random.Generator, resolution: Array, width: Array, cell: Array
) -> tuple[Array, Array, Array]:
    """The option of what stands before the blocks, the width that comes in, and the cells up to there."""
    entry = sums.cells.entry
    if sums.cells.keeps_width:
        return np.zeros_like(width), width, cell - entry[resolution, width, width, 0]
    num_sources, num_options = entry.shape[1], entry.shape[3]
    sources, options = np.divmod(np.arange(num_sources * num_options)[:, None], num_options)
    before = cell - entry[resolution, sources, width, options]
    chosen = choose(sums.before.look_up(resolution * num_sources + sources, before), rng)
    source, option = np.divmod(chosen, num_options)
    return option, source, before[chosen, np.arange(len(cell))]
