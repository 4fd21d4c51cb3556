"""Drawing and altering networks of a space, as codes."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..values import SpecError
from .placement import EMPTY, Placement

if TYPE_CHECKING:
    from .space import Code, Space


def draw_index(rng: random.Random, count: int, tilt: float = 0.0) -> int:
    if tilt == 0 or count == 1:
        return rng.randrange(count)
    return rng.choices(range(count), [math.exp(tilt * index / (count - 1)) for index in range(count)])[0]


def sample(space: Space, rng: random.Random, tilt: float = 0.0) -> Code:
    code = [draw_index(rng, gene.choices, tilt if gene.ordered else 0.0) for gene in space.layout.genes]
    for index, stage in enumerate(space.stages):
        depth = stage.depths[draw_index(rng, len(stage.depths), tilt)]
        space.set_placement(code, index, stage.placements.draw(rng, depth))
    return space.canonical(code)


def mutate(space: Space, code: Sequence[int], rng: random.Random, rate: float) -> Code:
    if space.size == 1:
        raise SpecError("space", "has one network only; there is nothing to mutate")
    before = space.canonical(code)
    while True:
        # A slot that becomes filled gets random fields; a placement that is not possible is drawn anew as a whole.
        after = list(sample(space, rng))
        active = set(space.active(before))
        for gene, value in enumerate(before):
            if gene in active and rng.random() >= rate:
                after[gene] = value
        _repair(space, after, before, rng)
        changed = space.canonical(after)
        if changed != before:
            return changed
        rate = min(1.0, 2 * rate)


def _repair(space: Space, code: list[int], before: Sequence[int], rng: random.Random) -> None:
    for index, stage in enumerate(space.stages):
        placement = space.placement(code, index)
        if not stage.placements.allows(placement):
            kept = space.placement(before, index)
            depth = sum(kind != EMPTY for kind in placement)
            fresh = stage.placements.draw(rng, depth) if depth in stage.depths else kept
            space.set_placement(code, index, fresh)


def crossover(space: Space, first: Sequence[int], second: Sequence[int], rng: random.Random) -> Code:
    child = [rng.choice(pair) for pair in zip(first, second, strict=True)]
    for index in range(len(space.stages)):
        parent = rng.choice((first, second))
        space.set_placement(child, index, space.placement(parent, index))
    # A block that only one parent has brings its own fields along.
    live = [set(space.active(first)), set(space.active(second))]
    for gene in space.active(child):
        if gene in live[0] and gene not in live[1]:
            child[gene] = first[gene]
        elif gene in live[1] and gene not in live[0]:
            child[gene] = second[gene]
    return space.canonical(child)


def smaller(space: Space, code: Sequence[int]) -> Iterator[tuple[str, Code]]:
    code = space.canonical(code)
    for gene in space.active(code):
        about = space.layout.genes[gene]
        if about.ordered and code[gene] > 0 and not about.name.endswith(".depth"):
            changed = list(code)
            changed[gene] -= 1
            yield f"{about.name} {about.values[code[gene]]} to {about.values[code[gene] - 1]}", tuple(changed)
    for index in range(len(space.stages)):
        yield from _fewer_blocks(space, code, index)


def _fewer_blocks(space: Space, code: Code, index: int) -> Iterator[tuple[str, Code]]:
    stage = space.stages[index]
    placement = space.placement(code, index)
    filled = [slot for slot, kind in enumerate(placement) if kind != EMPTY]
    names = [kind.part.name for kind in stage.kinds]

    def with_(changed: Placement) -> Code | None:
        if not stage.placements.allows(changed):
            return None
        new = list(code)
        space.set_placement(new, index, changed)
        return space.canonical(new)

    for slot in filled if stage.drop_anywhere else filled[-1:]:
        found = with_(tuple(EMPTY if other == slot else kind for other, kind in enumerate(placement)))
        if found is not None:
            yield f"stages[{index}] without the {names[placement[slot]]} block in slot {slot}", found
    attends = [kind.attends for kind in stage.kinds]
    for slot in filled:
        for cheaper, kind in enumerate(stage.kinds):
            if attends[placement[slot]] and not attends[cheaper]:
                found = with_(tuple(cheaper if other == slot else held for other, held in enumerate(placement)))
                if found is not None:
                    yield f"stages[{index}].slots[{slot}] {names[placement[slot]]} to {kind.part.name}", found
