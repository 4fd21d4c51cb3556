"""What networks are like, in a few numbers: the traits of stages, for thousands of codes at once.

Fifty evaluations can't say what each choice of each block does; they can say what the share of attention, the mean
kernel and the depth of a stage do. A trait is a sum over choices, some divided by the number of blocks of their stage,
so that one matrix product gives all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from supernet.space.genes import StageGenes
from supernet.space.space import StageSpace

from .codes import Codes

Array = np.ndarray
Choice = tuple[int, int]
"""A gene and its value."""
Weights = dict[Choice, float]
"""What each choice adds to a sum. A gene's first value, which also stands where it has nothing to say, adds nothing."""


class Described(NamedTuple):
    """Of each network a row, in float32. `choices`: a column for each value of each gene but the first, 1 where it was
    chosen. `traits`: from 0 for the cheapest choices to 1 for the most expensive ones, or a share of blocks. `bends`:
    how far choices are from both ends, for what is best or worst in the middle."""

    choices: Array
    traits: Array
    bends: Array


class Traits:
    """`traits(codes)` describes networks."""

    def __init__(self, codes: Codes) -> None:
        layout = codes.space.layout
        chosen = [(gene, value) for gene, number in enumerate(layout.choices) for value in range(1, number)]
        self._column = {choice: column for column, choice in enumerate(chosen)}
        self._genes = np.array([gene for gene, _ in chosen], dtype=np.int64)
        self._values = np.array([value for _, value in chosen], dtype=np.int32)
        self._numbers = layout.choices
        of_slots = {gene for stage in layout.stages for gene in _slot_genes(stage)}
        self.of_slots = np.array([gene in of_slots for gene, _ in chosen], dtype=bool)
        """Whether each column of `choices` is of one block, and not of a stage or of the whole network."""
        self._traits: dict[str, tuple[Weights, int | None]] = {}
        self._bends: dict[str, tuple[Weights, int | None]] = {}
        for gene, number in enumerate(layout.choices):
            if gene not in of_slots:
                self._traits[layout.genes[gene].name] = _rising([gene], number), None
        blocks: list[Weights] = []
        fewest: list[int] = []
        for index, (stage, genes) in enumerate(zip(codes.space.stages, layout.stages, strict=True)):
            blocks.append(_blocks(stage, genes))
            fewest.append(0 if stage.drop_anywhere else min(stage.depths))
            self._add_stage(index, stage, genes, blocks[-1])
        sums = [*self._traits.values(), *self._bends.values()]
        self._sums = self._matrix([*blocks, *(weights for weights, _ in sums)])
        self._fewest = np.array(fewest, dtype=np.float32)
        self._shared_out = np.array([at for at, (_, stage) in enumerate(sums) if stage is not None], dtype=np.int64)
        self._stages = np.array([stage for _, stage in sums if stage is not None], dtype=np.int64)

    @property
    def names(self) -> list[str]:
        return list(self._traits)

    @property
    def bend_names(self) -> list[str]:
        return list(self._bends)

    def __call__(self, codes: Array) -> Described:
        choices = (codes[:, self._genes] == self._values).astype(np.float32)
        sums = choices @ self._sums
        stages = len(self._fewest)
        blocks, found = np.maximum(sums[:, :stages] + self._fewest, 1), sums[:, stages:]
        found[:, self._shared_out] /= blocks[:, self._stages]
        return Described(choices, found[:, : len(self._traits)], found[:, len(self._traits) :])

    def _add_stage(self, index: int, stage: StageSpace, genes: StageGenes, blocks: Weights) -> None:
        where = f"stages[{index}]"
        if stage.drop_anywhere and blocks:
            most = max(stage.depths)
            self._traits[f"{where}.depth"] = dict.fromkeys(blocks, 1 / most), None
        first = 1 if stage.drop_anywhere else 0
        kinds = [gene for gene in genes.kinds if gene is not None]
        for kind, space in enumerate(stage.kinds):
            if kind and kinds:
                share = {(gene, kind + first): 1.0 for gene in kinds}
                self._traits[f"{where}.{space.part.name} {kind}"] = share, index
        for name, fields in self._fields(genes).items():
            number = self._numbers[fields[0]]
            self._traits[f"{where}.{name}"] = _rising(fields, number), index
            if number > 2:
                self._bends[f"{where}.{name}"] = _bending(fields, number), index

    def _fields(self, genes: StageGenes) -> dict[str, list[int]]:
        """The genes of all slots for each field, by the kinds that have it."""
        found: dict[str, list[int]] = {}
        for kinds in genes.fields:
            users: dict[int, str] = {}
            for kind, fields in enumerate(kinds):
                for field, gene in fields.items():
                    users[gene] = f"{users[gene]},{kind}" if gene in users else f"{field} of {kind}"
            for gene, name in users.items():
                found.setdefault(name, []).append(gene)
        return found

    def _matrix(self, sums: Sequence[Weights]) -> Array:
        found = np.zeros((len(self._genes), len(sums)), dtype=np.float32)
        for at, weights in enumerate(sums):
            for choice, weight in weights.items():
                found[self._column[choice], at] = weight
        return found


def _slot_genes(genes: StageGenes) -> set[int]:
    found = {gene for gene in genes.kinds if gene is not None}
    return found | {gene for kinds in genes.fields for fields in kinds for gene in fields.values()}


def _blocks(stage: StageSpace, genes: StageGenes) -> Weights:
    """How many blocks each choice adds to the fewest."""
    if stage.drop_anywhere:
        kinds = [gene for gene in genes.kinds if gene is not None]
        return {(gene, kind + 1): 1.0 for gene in kinds for kind in range(len(stage.kinds))}
    if genes.depth is None:
        return {}
    return {(genes.depth, value): float(depth - stage.depths[0]) for value, depth in enumerate(stage.depths) if value}


def _rising(genes: Sequence[int], number: int) -> Weights:
    return {(gene, value): value / (number - 1) for gene in genes for value in range(1, number)}


def _bending(genes: Sequence[int], number: int) -> Weights:
    """0 at both ends, 1 in the middle."""
    return {
        (gene, value): 4 * value * (number - 1 - value) / (number - 1) ** 2
        for gene in genes
        for value in range(1, number - 1)
    }
