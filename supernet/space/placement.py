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
class _Step:
    """What a slot can hold: kinds or EMPTY, the blocks of each kind that are left to place after it, and in how many
    ways the slots behind it can then be filled, added up."""

    kinds: tuple[int, ...]
    after: tuple[Counts, ...]
    ways: tuple[int, ...]


@dataclass(frozen=True)
class PlacementSpace:
    num_slots: int
    depths: tuple[int, ...]
    anywhere: bool
    """Whether any slot may be empty, not only the last ones."""
    kinds: tuple[KindRule, ...]

    def allows(self, placement: Sequence[int]) -> bool:
        if len(placement) != self.num_slots:
            return False
        counts, ended = [0] * len(self.kinds), False
        for slot, kind in enumerate(placement):
            if kind == EMPTY:
                ended = True
            elif not 0 <= kind < len(counts) or (ended and not self.anywhere) or slot not in self.kinds[kind].slots:
                return False
            else:
                counts[kind] += 1
        fitting = (rule.blocks[0] <= count <= rule.blocks[1] for rule, count in zip(self.kinds, counts, strict=True))
        return sum(counts) in self.depths and all(fitting)

    def counts(self, depth: int) -> tuple[Counts, ...]:
        """How many blocks of each kind a stage of that depth may have, as far as some placement has them."""
        if depth not in self._counts:
            ranges = [range(rule.blocks[0], min(rule.blocks[1], depth) + 1) for rule in self.kinds]
            fitting = (counts for counts in itertools.product(*ranges) if sum(counts) == depth)
            self._counts[depth] = tuple(counts for counts in fitting if self._ways(0, counts))
        return self._counts[depth]

    def number(self, weights: Sequence[int]) -> int:
        """The sum over all placements of the product of their kinds' weights."""
        total = 0
        for depth in self.depths:
            for counts in self.counts(depth):
                ways = self._ways(0, counts)
                for weight, count in zip(weights, counts, strict=True):
                    ways *= weight**count
                total += ways
        return total

    def draw(self, rng: random.Random, depth: int) -> Placement:
        """The number of blocks of each kind is uniform over what is possible, and so is their arrangement then."""

        def choose(step: _Step) -> int:
            return rng.choices(range(len(step.kinds)), cum_weights=step.ways)[0] if len(step.kinds) > 1 else 0

        return self._walk(rng.choice(self.counts(depth)), choose)

    def arrange(self, counts: Counts, order: Sequence[int]) -> Placement:
        """The placement with these counts whose slots hold, from the first one on, what stands first in `order`."""
        rank = {kind: index for index, kind in enumerate((*order, EMPTY))}

        def choose(step: _Step) -> int:
            return min(range(len(step.kinds)), key=lambda index: rank[step.kinds[index]])

        return self._walk(counts, choose)

    def _walk(self, counts: Counts, choose: Callable[[_Step], int]) -> Placement:
        placement: list[int] = []
        for slot in range(self.num_slots):
            step = self._step(slot, counts)
            chosen = choose(step)
            placement.append(step.kinds[chosen])
            counts = step.after[chosen]
        return tuple(placement)

    # What was found out about a space is kept with it: hashing the space for a cache would cost more than a draw.

    @functools.cached_property
    def _counts(self) -> dict[int, tuple[Counts, ...]]:
        return {}

    @functools.cached_property
    def _steps(self) -> dict[tuple[int, Counts], _Step]:
        return {}

    def _ways(self, slot: int, counts: Counts) -> int:
        """How many ways there are to place these blocks in the slots from `slot` on."""
        if not any(counts):
            return 1
        if slot == self.num_slots:
            return 0
        ways = self._step(slot, counts).ways
        return ways[-1] if ways else 0

    def _step(self, slot: int, counts: Counts) -> _Step:
        found = self._steps.get((slot, counts))
        if found is None:
            possible = [(kind, after, self._ways(slot + 1, after)) for kind, after in self._next(slot, counts)]
            possible = [one for one in possible if one[2]]
            found = self._steps[slot, counts] = _Step(
                kinds=tuple(kind for kind, _, _ in possible),
                after=tuple(after for _, after, _ in possible),
                ways=tuple(itertools.accumulate(ways for _, _, ways in possible)),
            )
        return found

    def _next(self, slot: int, counts: Counts) -> list[tuple[int, Counts]]:
        left = sum(counts)
        may_be_empty = self.num_slots - slot > left if self.anywhere else left == 0
        found = [(EMPTY, counts)] if may_be_empty else []
        for number, rule in enumerate(self.kinds):
            if counts[number] and slot in rule.slots:
                found.append((number, tuple(count - (other == number) for other, count in enumerate(counts))))
        return found
