"""Which slots of a stage hold which kind of block: counting, checking and drawing such placements.

A placement has one entry for each slot: the number of a kind, or `EMPTY`. Where blocks are dropped `last`, the filled
slots are the first ones; where `any` slot may be empty, they are any. A kind may be limited to some slots, and to a
number of blocks.
"""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

EMPTY = -1
Placement = tuple[int, ...]
Counts = tuple[int, ...]


@dataclass(frozen=True)
class KindRule:
    """`slots`: those that may hold this kind. `blocks`: the fewest and most blocks of it."""

    slots: tuple[int, ...]
    blocks: tuple[int, int]


@dataclass(frozen=True)
class PlacementSpace:
    num_slots: int
    depths: tuple[int, ...]
    anywhere: bool
    """Whether any slot may be empty, not only the last ones."""
    kinds: tuple[KindRule, ...]

    def allows(self, placement: Sequence[int]) -> bool:
        filled = [kind != EMPTY for kind in placement]
        if len(placement) != self.num_slots or sum(filled) not in self.depths:
            return False
        if not self.anywhere and not all(filled[: sum(filled)]):
            return False
        for number, rule in enumerate(self.kinds):
            slots = [slot for slot, kind in enumerate(placement) if kind == number]
            if not rule.blocks[0] <= len(slots) <= rule.blocks[1]:
                return False
            if not set(slots) <= set(rule.slots):
                return False
        return all(EMPTY <= kind < len(self.kinds) for kind in placement)

    def counts(self, depth: int) -> tuple[Counts, ...]:
        """How many blocks of each kind a stage of that depth may have, as far as some placement has them."""
        return _counts(self, depth)

    def number(self, weights: Sequence[int]) -> int:
        """The sum over all placements of the product of their kinds' weights."""
        total = 0
        for depth in self.depths:
            for counts in self.counts(depth):
                ways = _ways(self, depth, 0, depth, counts)
                for weight, count in zip(weights, counts, strict=True):
                    ways *= weight**count
                total += ways
        return total

    def draw(self, rng: random.Random, depth: int) -> Placement:
        """The number of blocks of each kind is uniform over what is possible, and so is their arrangement then."""
        return self._walk(depth, rng.choice(self.counts(depth)), lambda options, ways: rng.choices(options, ways)[0])

    def arrange(self, depth: int, counts: Counts, order: Sequence[int]) -> Placement:
        """The placement with these counts whose slots hold, from the first one on, what stands first in `order`."""
        rank = {kind: index for index, kind in enumerate((*order, EMPTY))}
        return self._walk(depth, counts, lambda options, _: min(options, key=rank.__getitem__))

    def _walk(self, depth: int, counts: Counts, choose: Callable[[list[int], list[int]], int]) -> Placement:
        placement: list[int] = []
        left = depth
        for slot in range(self.num_slots):
            options, ways = [], []
            for kind, rest, after in _next(self, depth, slot, left, counts):
                number = _ways(self, depth, slot + 1, rest, after)
                if number:
                    options.append(kind)
                    ways.append(number)
            kind = choose(options, ways)
            placement.append(kind)
            if kind != EMPTY:
                left -= 1
                counts = tuple(count - (number == kind) for number, count in enumerate(counts))
        return tuple(placement)


def _next(space: PlacementSpace, depth: int, slot: int, left: int, counts: Counts) -> list[tuple[int, int, Counts]]:
    """What this slot can hold: the kind, and how many blocks are left to place afterwards, in all and of each kind."""
    found: list[tuple[int, int, Counts]] = []
    may_be_empty = space.num_slots - slot > left if space.anywhere else slot >= depth
    if may_be_empty:
        found.append((EMPTY, left, counts))
    if left and (space.anywhere or slot < depth):
        for number, rule in enumerate(space.kinds):
            if counts[number] and slot in rule.slots:
                after = tuple(count - (other == number) for other, count in enumerate(counts))
                found.append((number, left - 1, after))
    return found


@functools.lru_cache(maxsize=1 << 17)
def _ways(space: PlacementSpace, depth: int, slot: int, left: int, counts: Counts) -> int:
    """How many ways there are to fill the slots from `slot` on."""
    if slot == space.num_slots:
        return int(left == 0 and not any(counts))
    return sum(_ways(space, depth, slot + 1, rest, after) for _, rest, after in _next(space, depth, slot, left, counts))


@functools.lru_cache(maxsize=4096)
def _counts(space: PlacementSpace, depth: int) -> tuple[Counts, ...]:
    ranges = [range(rule.blocks[0], min(rule.blocks[1], depth) + 1) for rule in space.kinds]
    return tuple(
        counts
        for counts in itertools.product(*ranges)
        if sum(counts) == depth and _ways(space, depth, 0, depth, counts)
    )
