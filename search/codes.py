"""Many networks of a space at once, as rows of an array of codes: drawing, altering and comparing them.

What `supernet.space` does for one network is done here for thousands in one go: a generation costs milliseconds.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Collection, Sequence

import numpy as np

from supernet import NetSpec, Space
from supernet.space.genes import StageGenes
from supernet.space.placement import EMPTY
from supernet.space.space import StageSpace

Array = np.ndarray
BITS = np.uint32(2**16)
"""So many different random numbers decide a choice: quick, and even enough."""
POOL = 4096
"""Placements of a stage that are drawn once, equally many of each depth; new ones are taken from among them."""


class Codes:
    """Codes are rows of int32, as `space.encode` gives them: canonical, so that equal networks have equal rows."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.choices = np.array(space.layout.choices, dtype=np.uint32)
        self.stages = [_Stage(stage, genes) for stage, genes in zip(space.stages, space.layout.stages, strict=True)]
        self._slots, self._kinds = _what_activates(space)
        self._pools: list[Array] | None = None

    @property
    def genes(self) -> int:
        return len(self.choices)

    def of(self, specs: Sequence[NetSpec]) -> Array:
        rows = [self.space.encode(spec) for spec in specs]
        return np.array(rows, dtype=np.int32).reshape(len(rows), self.genes)

    def spec(self, code: Array) -> NetSpec:
        return self.space.decode(code.tolist())

    def empty(self) -> Array:
        return np.zeros((0, self.genes), dtype=np.int32)

    # --- what a code says ----------------------------------------------------------------------------------------

    def active(self, codes: Array) -> Array:
        """Whether each gene of each code has something to say."""
        always = np.zeros((len(codes), 1), dtype=np.int8)
        held = np.concatenate([always, *(stage.placements(codes) for stage in self.stages)], axis=1)
        bits = np.left_shift(np.uint16(1), (held + 1).astype(np.uint16))
        found: Array = (bits.take(self._slots, axis=1) & self._kinds) != 0
        return found

    def canonical(self, codes: Array) -> Array:
        found: Array = codes * self.active(codes)
        return found

    def allowed(self, codes: Array) -> Array:
        """Whether the placement of each stage keeps to its rules."""
        found = np.ones(len(codes), dtype=bool)
        for stage in self.stages:
            found &= stage.allows(stage.placements(codes))
        return found

    # --- new ones ------------------------------------------------------------------------------------------------

    def draw(self, rng: np.random.Generator, number: int) -> Array:
        """Random networks: each choice uniform, as `space.sample` draws them."""
        codes = self._draw_genes(rng, number)
        for index, stage in enumerate(self.stages):
            stage.set(codes, self._fresh(rng, index, number))
        return self.canonical(codes)

    def mutate(self, codes: Array, rng: np.random.Generator, rate: float | Array) -> Array:
        """Each choice drawn anew with probability `rate`, which may differ from row to row. Where that changes nothing,
        it is tried again with twice the rate."""
        if self.space.size == 1:
            return codes
        rates = np.broadcast_to(np.asarray(rate, dtype=np.float64), (len(codes),)).copy()
        found = codes.copy()
        todo = np.arange(len(codes))
        while len(todo):
            found[todo] = self._mutated(codes[todo], rng, rates[todo])
            todo = todo[(found[todo] == codes[todo]).all(axis=1)]
            rates[todo] = np.minimum(1.0, 2 * rates[todo])
        return found

    def neighbours(self, code: Array) -> Array:
        """All that differ from it in one choice: in one gene, and what comes or goes with that."""
        genes = np.flatnonzero(self.active(code[None])[0])
        changes = [(gene, value) for gene in genes for value in range(self.choices[gene]) if value != code[gene]]
        found = np.repeat(code[None], len(changes), axis=0)
        for row, (gene, value) in zip(found, changes, strict=True):
            row[gene] = value
        found = self.canonical(found[self.allowed(found)])
        return found[distinct(found, {code.tobytes()})]

    def crossover(self, first: Array, second: Array, rng: np.random.Generator) -> Array:
        """Each choice from one of two parents; the placement of a stage's blocks comes from one of them as a whole, and
        a block that only one parent has brings its own fields along."""
        child = np.where(rng.integers(0, 2, first.shape, dtype=bool), first, second)
        for stage in self.stages:
            whose = rng.random(len(first)) < 0.5
            stage.set(child, np.where(whose[:, None], stage.placements(first), stage.placements(second)))
        ours, theirs = self.active(first), self.active(second)
        child = np.where(ours & ~theirs, first, np.where(theirs & ~ours, second, child))
        return self.canonical(child)

    def _mutated(self, codes: Array, rng: np.random.Generator, rates: Array) -> Array:
        fresh = self._draw_genes(rng, len(codes))
        keep = self.active(codes) & (_bits(rng, codes.shape) >= (BITS * rates).astype(np.uint32)[:, None])
        after = np.where(keep, codes, fresh)
        for index, stage in enumerate(self.stages):
            before = stage.placements(codes)
            other = self._fresh(rng, index, len(codes))
            slots = rng.random(before.shape) < rates[:, None]
            if not stage.space.drop_anywhere:
                slots &= (before != EMPTY) & (other != EMPTY)
            mixed = np.where(slots, other, before)
            mixed = np.where(stage.allows(mixed)[:, None], mixed, before)
            whole = rng.random(len(codes)) < rates
            stage.set(after, np.where(whole[:, None], other, mixed))
        return self.canonical(after)

    def _draw_genes(self, rng: np.random.Generator, number: int) -> Array:
        found: Array = (_bits(rng, (number, self.genes)) * self.choices // BITS).astype(np.int32)
        return found

    def _fresh(self, rng: np.random.Generator, index: int, number: int) -> Array:
        if self._pools is None:
            self._pools = [stage.pool(random.Random(f"placements {at}")) for at, stage in enumerate(self.stages)]
        pool = self._pools[index]
        return pool[rng.integers(0, len(pool), number)]


class _Stage:
    """Which kind each slot of a stage holds: an array of networks by slots, with EMPTY."""

    def __init__(self, space: StageSpace, genes: StageGenes) -> None:
        self.space, self.genes = space, genes
        self.slots, self.kinds = max(space.depths), len(space.kinds)
        self.depths = np.array(space.depths)
        self._open = np.array([slot for slot, gene in enumerate(genes.kinds) if gene is not None], dtype=int)
        self._kind_genes = np.array([gene for gene in genes.kinds if gene is not None], dtype=int)
        self._closed = [
            np.array([slot for slot in range(self.slots) if slot not in kind.rule.slots], dtype=int)
            for kind in space.kinds
        ]

    def placements(self, codes: Array) -> Array:
        found = np.zeros((len(codes), self.slots), dtype=np.int8)
        if len(self._open):
            found[:, self._open] = codes.take(self._kind_genes, axis=1)
        if self.space.drop_anywhere:
            return found - 1
        if self.genes.depth is None:
            return found
        depth = self.depths[codes[:, self.genes.depth]]
        return np.where(np.arange(self.slots) < depth[:, None], found, np.int8(EMPTY))

    def set(self, codes: Array, placements: Array) -> None:
        """In place."""
        if not self.space.drop_anywhere and self.genes.depth is not None:
            codes[:, self.genes.depth] = np.searchsorted(self.depths, (placements != EMPTY).sum(axis=1))
        held = placements[:, self._open]
        codes[:, self._kind_genes] = held + 1 if self.space.drop_anywhere else np.maximum(held, 0)

    def allows(self, placements: Array) -> Array:
        found = np.isin((placements != EMPTY).sum(axis=1), self.depths)
        for kind, (space, closed) in enumerate(zip(self.space.kinds, self._closed, strict=True)):
            held = placements == kind
            number = held.sum(axis=1)
            found &= (number >= space.rule.blocks[0]) & (number <= space.rule.blocks[1])
            if len(closed):
                found &= ~held[:, closed].any(axis=1)
        return found

    def nearest(self, placement: Array) -> Array:
        """The placement with the fewest other kinds in it, of as many blocks, that keeps to the rules."""
        if self.allows(placement[None])[0]:
            return placement
        known = self._allowed
        apart = (known != placement).sum(axis=1) + 100 * abs((known != EMPTY).sum(axis=1) - (placement != EMPTY).sum())
        found: Array = known[int(np.argmin(apart))]
        return found

    @functools.cached_property
    def _allowed(self) -> Array:
        return self.pool(random.Random("allowed"))

    def pool(self, rng: random.Random) -> Array:
        """Placements as `space.sample` draws them."""
        depths = self.space.depths
        drawn = [self.space.placements.draw(rng, depth) for depth in depths for _ in range(-(-POOL // len(depths)))]
        return np.array(drawn, dtype=np.int8).reshape(len(drawn), self.slots)


def _what_activates(space: Space) -> tuple[Array, Array]:
    """For each gene the number of a slot, and the kinds (as bits; 1 is an empty slot) with which that makes it active.
    Slots are counted over all stages, from 1 on; in slot 0 there is always the first kind."""
    layout = space.layout
    slots, kinds = np.zeros(len(layout.choices), dtype=np.int64), np.full(len(layout.choices), 2, dtype=np.uint16)
    at = 0
    for stage, genes in zip(space.stages, layout.stages, strict=True):
        for gene, fields in zip(genes.kinds, genes.fields, strict=True):
            at += 1
            of_fields: dict[int, int] = {}
            for kind, one in enumerate(fields):
                for field in one.values():
                    of_fields[field] = of_fields.get(field, 0) | 2 << kind
            if gene is not None and not stage.drop_anywhere:
                of_fields[gene] = (2 << len(stage.kinds)) - 2
            for active, bits in of_fields.items():
                slots[active], kinds[active] = at, bits
    return slots, kinds


def _bits(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Whole numbers below `BITS`."""
    return rng.integers(0, BITS, shape, dtype=np.uint16)


def keys(codes: Array) -> list[bytes]:
    """`code.tobytes()` of each row."""
    rows = np.ascontiguousarray(codes, dtype=np.int32)
    found: list[bytes] = rows.view(f"V{4 * rows.shape[1]}").ravel().tolist()
    return found


def distinct(codes: Array, known: Collection[bytes] = (), also_known: Collection[bytes] = ()) -> Array:
    """The first of each, without those that are known; as indices."""
    ours: set[bytes] = set()
    found = []
    for index, key in enumerate(keys(codes)):
        if key not in ours and key not in known and key not in also_known:
            ours.add(key)
            found.append(index)
    return np.array(found, dtype=np.int64)
