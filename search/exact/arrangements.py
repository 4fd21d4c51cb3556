"""In how many ways the blocks of a stage can stand in its slots, and drawing one of them for many networks at once.

Costs depend on how many blocks of each kind there are, not on where they stand.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

from supernet.space.placement import EMPTY, Counts, PlacementSpace

Array = np.ndarray


class Arrangements:
    """`counts` are all numbers of blocks by kind that the stage allows, `ways` the arrangements of each, and `share`
    how probable each is where the depth is drawn first and then, uniformly, one of its numbers by kind."""

    def __init__(self, placements: PlacementSpace) -> None:
        self.placements = placements
        by_depth = [placements.counts(depth) for depth in placements.depths]
        self.counts: list[Counts] = [counts for of_depth in by_depth for counts in of_depth]
        self.ways = [self._ways(0, counts) for counts in self.counts]
        self.share = [1 / len(of_depth) / len(by_depth) for of_depth in by_depth for _ in of_depth]

    def draw(self, rng: np.random.Generator, which: Array) -> Array:
        """For each number of `which`, an index into `counts`, a placement: slots by row, with EMPTY. All arrangements
        are equally probable."""
        found = np.full((len(which), self.placements.num_slots), EMPTY, dtype=np.int8)
        state = which
        for slot, (below, following) in enumerate(self._tables):
            target = rng.random(len(which))
            chosen = np.zeros(len(which), dtype=np.int8)
            for column in below.T:
                chosen += column[state] <= target
            found[:, slot] = chosen - 1
            state = following[state, chosen]
        return found

    def each(self, counts: Counts, slot: int = 0) -> Iterator[tuple[int, ...]]:
        """Every arrangement of these blocks in the slots from `slot` on."""
        if slot == self.placements.num_slots:
            yield ()
            return
        for kind, after in self._next(slot, counts):
            if self._ways(slot + 1, after):
                yield from ((kind, *rest) for rest in self.each(after, slot + 1))

    # --- counting ------------------------------------------------------------------------------------------------

    def _ways(self, slot: int, counts: Counts) -> int:
        if not any(counts):
            return 1
        if slot == self.placements.num_slots:
            return 0
        found = self._known.get((slot, counts))
        if found is None:
            found = sum(self._ways(slot + 1, after) for _, after in self._next(slot, counts))
            self._known[slot, counts] = found
        return found

    @functools.cached_property
    def _known(self) -> dict[tuple[int, Counts], int]:
        return {}

    def _next(self, slot: int, counts: Counts) -> Iterator[tuple[int, Counts]]:
        """What the slot can hold, and the blocks that are then left for those behind it."""
        left = sum(counts)
        if self.placements.num_slots - slot > left if self.placements.anywhere else left == 0:
            yield EMPTY, counts
        for kind, rule in enumerate(self.placements.kinds):
            if counts[kind] and slot in rule.slots:
                yield kind, (*counts[:kind], counts[kind] - 1, *counts[kind + 1 :])

    @functools.cached_property
    def _tables(self) -> list[tuple[Array, Array]]:
        """For each slot, by state (the blocks left for it and those behind it): with which probability it holds EMPTY,
        at most kind 0, at most kind 1 and so on up to the last but one; and the state behind it for each of these."""
        found = []
        states = {counts: index for index, counts in enumerate(self.counts)}
        num_kinds = len(self.placements.kinds)
        for slot in range(self.placements.num_slots):
            behind: dict[Counts, int] = {}
            below = np.zeros((len(states), num_kinds))
            following = np.zeros((len(states), 1 + num_kinds), dtype=np.int64)
            for counts, state in states.items():
                total, so_far = self._ways(slot, counts), [0] * (1 + num_kinds)
                for kind, after in self._next(slot, counts):
                    so_far[kind + 1] = self._ways(slot + 1, after)
                    if so_far[kind + 1]:
                        following[state, kind + 1] = behind.setdefault(after, len(behind))
                last = max(kind for kind, ways in enumerate(so_far) if ways)
                # From the last possible one on, no random number below 1 reaches the limit, whatever was rounded.
                below[state] = [2.0 if kind >= last else sum(so_far[: kind + 1]) / total for kind in range(num_kinds)]
            found.append((below, following))
            states = behind
        return found
