"""Drawing and altering networks of a space, as codes."""

from __future__ import annotations

import functools
import itertools
import math
import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..values import SpecError
from .coding import Code, active, canonical, depth_of, placement_of, set_placement
from .placement import EMPTY, Placement

if TYPE_CHECKING:
    from .space import Space


def draw_index(rng: random.Random, count: int, tilt: float = 0.0) -> int:
    if count == 1:
        return 0
    if tilt == 0:
        return int(rng.random() * count)  # a tenth of what randrange takes; counts are far below the float's precision
    return rng.choices(range(count), cum_weights=_tilted(count, tilt))[0]


@functools.lru_cache(maxsize=1024)
def _tilted(count: int, tilt: float) -> list[float]:
    return list(itertools.accumulate(math.exp(tilt * index / (count - 1)) for index in range(count)))


def draw(space: Space, rng: random.Random, tilt: float = 0.0) -> list[int]:
    """A code of a random network, in which also the genes that have nothing to say are drawn."""
    layout = space.layout
    code = [
        draw_index(rng, choices, tilt if ordered else 0.0)
        for choices, ordered in zip(layout.choices, layout.ordered, strict=True)
    ]
    for index, stage in enumerate(space.stages):
        depth = stage.depths[draw_index(rng, len(stage.depths), tilt)]
        set_placement(space, code, index, stage.placements.draw(rng, depth))
    return code


def mutate(space: Space, code: Sequence[int], rng: random.Random, rate: float) -> Code:
    if not 0 < rate <= 1:
        raise ValueError(f"rate: {rate} is not above 0 and at most 1")
    if space.size == 1:
        raise SpecError("space", "has one network only; there is nothing to mutate")
    before = canonical(space, code)
    while True:
        # A block that is new has random fields, those of genes that had nothing to say before.
        after = draw(space, rng)
        fresh = [placement_of(space, after, index) for index in range(len(space.stages))]
        for gene in active(space, before):
            if rng.random() >= rate:
                after[gene] = before[gene]
        for index in range(len(space.stages)):
            _place(space, after, index, placement_of(space, before, index), fresh[index], rng, rate)
        changed = canonical(space, after)
        if changed != before:
            return changed
        rate = min(1.0, 2 * rate)


def _place(
    space: Space, code: list[int], index: int, before: Placement, fresh: Placement, rng: random.Random, rate: float
) -> None:
    """The depth drawn anew with probability `rate`, and so each slot; what is not possible is drawn as a whole."""
    stage = space.stages[index].placements
    if stage.anywhere:
        mixed = tuple(new if rng.random() < rate else old for old, new in zip(before, fresh, strict=True))
        depth = depth_of(mixed) if depth_of(mixed) in stage.depths else depth_of(before)
        whole = stage.draw(rng, depth)
    else:
        whole = fresh if rng.random() < rate else stage.draw(rng, depth_of(before))
        mixed = tuple(
            new if old == EMPTY or new == EMPTY or rng.random() < rate else old
            for old, new in zip(before, whole, strict=True)
        )
    set_placement(space, code, index, mixed if stage.allows(mixed) else whole)


def crossover(space: Space, first: Sequence[int], second: Sequence[int], rng: random.Random) -> Code:
    child = [rng.choice(pair) for pair in zip(first, second, strict=True)]
    for index in range(len(space.stages)):
        parent = rng.choice((first, second))
        set_placement(space, child, index, placement_of(space, parent, index))
    # A block that only one parent has brings its own fields along.
    live = [set(active(space, first)), set(active(space, second))]
    for gene in active(space, child):
        if gene in live[0] and gene not in live[1]:
            child[gene] = first[gene]
        elif gene in live[1] and gene not in live[0]:
            child[gene] = second[gene]
    return canonical(space, child)


def smaller(space: Space, code: Sequence[int]) -> Iterator[tuple[str, Code]]:
    """What is one action away and may have fewer MACs. What attends need not cost more with more heads or wider ones
    (Inception's take channels away from convolution), so that its fields are tried both ways."""
    code = canonical(space, code)
    depths = {genes.depth for genes in space.layout.stages}
    for gene in active(space, code):
        about = space.layout.genes[gene]
        if not about.ordered or gene in depths:
            continue
        for value in (code[gene] - 1, code[gene] + 1) if about.dimension == "attention" else (code[gene] - 1,):
            if 0 <= value < about.choices:
                changed = list(code)
                changed[gene] = value
                yield f"{about.name} {about.values[code[gene]]} to {about.values[value]}", tuple(changed)
    for index in range(len(space.stages)):
        placement = placement_of(space, code, index)
        for action, other in (*_fewer_blocks(space, index, placement), *_less_attention(space, index, placement)):
            if space.stages[index].placements.allows(other):
                new = list(code)
                set_placement(space, new, index, other)
                yield f"stages[{index}] {action}", canonical(space, new)


def _fewer_blocks(space: Space, index: int, placement: Placement) -> Iterator[tuple[str, Placement]]:
    stage = space.stages[index]
    filled = [slot for slot, kind in enumerate(placement) if kind != EMPTY]
    shallower = [depth for depth in stage.depths if depth < len(filled)]
    if not shallower:
        return
    number = len(filled) - shallower[-1]
    for dropped in itertools.combinations(filled, number) if stage.drop_anywhere else [tuple(filled[-number:])]:
        names = ", ".join(f"{stage.kinds[placement[slot]].part.name} in slot {slot}" for slot in dropped)
        yield f"without {names}", tuple(EMPTY if slot in dropped else kind for slot, kind in enumerate(placement))


def _less_attention(space: Space, index: int, placement: Placement) -> Iterator[tuple[str, Placement]]:
    kinds = space.stages[index].kinds
    for slot, held in enumerate(placement):
        if held == EMPTY or not kinds[held].attends:
            continue
        for number, kind in enumerate(kinds):
            if not kind.attends:
                action = f"slot {slot} {kinds[held].part.name} to {kind.part.name}"
                yield action, (*placement[:slot], number, *placement[slot + 1 :])
