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
POOL = 4096
"""Placements of a stage that are drawn once, equally many of each depth; new ones are taken from among them."""


class Codes:
    """Codes are rows of int32, as `space.encode` gives them: canonical, so that equal networks have equal rows."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.choices = np.array(space.layout.choices, dtype=np.int64)
        self.stages = [_Stage(stage, genes) for stage, genes in zip(space.stages, space.layout.stages, strict=True)]
        self._always = _always_active(space)
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
        found = np.tile(self._always, (len(codes), 1))
        for stage in self.stages:
            stage.mark_active(found, stage.placements(codes))
        return found

    def canonical(self, codes: Array) -> Array:
        return np.where(self.active(codes), codes, 0).astype(np.int32)

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

    def crossover(self, first: Array, second: Array, rng: np.random.Generator) -> Array:
        """Each choice from one of two parents; the placement of a stage's blocks comes from one of them as a whole, and
        a block that only one parent has brings its own fields along."""
        child = np.where(rng.random(first.shape) < 0.5, first, second)
        for stage in self.stages:
            whose = rng.random(len(first)) < 0.5
            stage.set(child, np.where(whose[:, None], stage.placements(first), stage.placements(second)))
        ours, theirs = self.active(first), self.active(second)
        child = np.where(ours & ~theirs, first, np.where(theirs & ~ours, second, child))
        return self.canonical(child)

    def _mutated(self, codes: Array, rng: np.random.Generator, rates: Array) -> Array:
        fresh = self._draw_genes(rng, len(codes))
        keep = self.active(codes) & (rng.random(codes.shape) >= rates[:, None])
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
        return (rng.random((number, self.genes)) * self.choices).astype(np.int32)

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
        self._kind_genes = [gene if gene is not None else -1 for gene in genes.kinds]
        self._closed = [
            np.array([slot for slot in range(self.slots) if slot not in kind.rule.slots], dtype=int)
            for kind in space.kinds
        ]

    def placements(self, codes: Array) -> Array:
        found = np.zeros((len(codes), self.slots), dtype=np.int8)
        for slot, gene in enumerate(self._kind_genes):
            if gene >= 0:
                found[:, slot] = codes[:, gene]
        if self.space.drop_anywhere:
            return found - 1
        chosen = codes[:, self.genes.depth] if self.genes.depth is not None else np.zeros(len(codes), dtype=int)
        depth = self.depths[chosen]
        found[np.arange(self.slots) >= depth[:, None]] = EMPTY
        return found

    def set(self, codes: Array, placements: Array) -> None:
        """In place."""
        if not self.space.drop_anywhere and self.genes.depth is not None:
            codes[:, self.genes.depth] = np.searchsorted(self.depths, (placements != EMPTY).sum(axis=1))
        for slot, gene in enumerate(self._kind_genes):
            if gene >= 0:
                held = placements[:, slot]
                codes[:, gene] = held + 1 if self.space.drop_anywhere else np.maximum(held, 0)

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

    def mark_active(self, found: Array, placements: Array) -> None:
        for slot, by_kind in enumerate(self._fields):
            gene = self._kind_genes[slot]
            if gene >= 0 and not self.space.drop_anywhere:
                found[:, gene] = placements[:, slot] != EMPTY
            for kind, genes in enumerate(by_kind):
                if len(genes):
                    found[:, genes] |= (placements[:, slot] == kind)[:, None]

    @functools.cached_property
    def _fields(self) -> list[list[Array]]:
        """The genes of each slot and kind."""
        return [[np.array(list(fields.values()), dtype=int) for fields in kinds] for kinds in self.genes.fields]

    @functools.cached_property
    def _allowed(self) -> Array:
        return self.pool(random.Random("allowed"))

    def pool(self, rng: random.Random) -> Array:
        """Placements as `space.sample` draws them."""
        depths = self.space.depths
        drawn = [self.space.placements.draw(rng, depth) for depth in depths for _ in range(-(-POOL // len(depths)))]
        return np.array(drawn, dtype=np.int8).reshape(len(drawn), self.slots)


def _always_active(space: Space) -> Array:
    layout = space.layout
    found = np.zeros(len(layout.choices), dtype=bool)
    genes: list[int | None] = [layout.resolution, *layout.stem.values(), *layout.head.values()]
    for stage, of_stage in zip(space.stages, layout.stages, strict=True):
        genes += [of_stage.width, of_stage.depth, *of_stage.downsample.values()]
        if stage.drop_anywhere:
            genes += of_stage.kinds
    found[[gene for gene in genes if gene is not None]] = True
    return found


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
