"""What whole populations cost: sums over units by table look-up, for networks given as codes of a space.

What a place of the network costs depends on few genes, such as a slot's kind, kernel, the width of its stage and the
resolution. For each place there is one small table over all values of those genes, so that the cost of a code is one
look-up a place. A cost may be one number or several, such as milliseconds on two phones and parameters.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from supernet import Space
from supernet.options import Size
from supernet.space.choices import PartSpace
from supernet.space.genes import Fields

from .units import Unit

Values = float | np.ndarray
UnitCost = Callable[[Unit], Values]
Choices = dict[int | None, int]
"""The value of each gene of a place; None stands for what is not to choose, and has the value 0."""
PlaceCost = Callable[[Choices], np.ndarray]


@dataclass(frozen=True)
class Term:
    """One place: `costs` has an entry for each combination of the values of `genes`, the last gene fastest."""

    genes: np.ndarray
    strides: np.ndarray
    costs: np.ndarray


class Population:
    """`population(codes)` has the cost of each network, `offset` included. Codes are rows as from `space.encode`. Where
    a unit has several costs, so have networks: a row for each."""

    def __init__(self, space: Space, unit_cost: UnitCost, offset: Values = 0.0) -> None:
        self.space, self.offset = space, np.asarray(offset, dtype=np.float64)
        self._known: dict[Unit, np.ndarray] = {}
        self._blocks: dict[tuple[Any, ...], np.ndarray] = {}
        self._maps = functools.cache(space.maps)
        self._unit_cost = unit_cost
        self.terms = [self._term(genes, cost) for genes, cost in self._places()]

    def __call__(self, codes: Any) -> np.ndarray:
        codes = np.ascontiguousarray(np.asarray(codes, dtype=np.int32).T)
        total = np.tile(self.offset, (codes.shape[1], *(1 for _ in self.offset.shape)))
        for term in self.terms:
            if len(term.genes):
                at = codes[term.genes[0]] * term.strides[0]
                for gene, stride in zip(term.genes[1:], term.strides[1:], strict=True):
                    at += codes[gene] * stride
                total += term.costs[at]
            else:
                total += term.costs[0]
        return total

    def _cost(self, unit: Unit) -> np.ndarray:
        found = self._known.get(unit)
        if found is None:
            found = self._known[unit] = np.broadcast_to(np.asarray(self._unit_cost(unit)), self.offset.shape)
        return found

    def _term(self, genes: Sequence[int], cost: PlaceCost) -> Term:
        choices = [self.space.layout.choices[gene] for gene in genes]
        combinations = itertools.product(*(range(number) for number in choices))
        costs = [cost({None: 0} | dict(zip(genes, values, strict=True))) for values in combinations]
        strides = [int(np.prod(choices[index + 1 :])) for index in range(len(genes))]
        return Term(np.array(genes, dtype=np.int64), np.array(strides, dtype=np.int32), np.array(costs))

    def _places(self) -> list[tuple[list[int], PlaceCost]]:
        """The genes of each place, and what it costs for their values."""
        space, layout = self.space, self.space.layout
        found: list[tuple[list[int], PlaceCost]] = []

        def stem_cost(at: Choices) -> np.ndarray:
            options = _options(space.stem, layout.stem, at, 0)
            return self._cost(Unit("stem", options, space.in_chans, options.width, self._size(at)))

        found.append((_genes(layout.resolution, layout.stem), stem_cost))
        width_gene, width_of = _stem_width(space, layout.stem)
        for index, (stage, genes) in enumerate(zip(space.stages, layout.stages, strict=True)):
            before_gene, before_of = width_gene, width_of
            if stage.widths:
                width_gene, width_of = [genes.width], _by_gene(genes.width, stage.widths)
            if stage.downsample is not None:
                cost = self._downsample_cost(index, stage.downsample, genes.downsample, before_of, width_of)
                found.append((_genes(layout.resolution, *before_gene, *width_gene, genes.downsample), cost))
            if stage.position_table:
                found.append((_genes(layout.resolution, *width_gene), self._position_cost(index, width_of)))
            for slot in range(max(stage.depths)):
                fields = genes.fields[slot]
                places = _genes(layout.resolution, *width_gene, genes.depth, genes.kinds[slot], *fields)
                found.append((places, self._slot_cost(index, slot, width_of)))

        def head_cost(at: Choices) -> np.ndarray:
            width = width_of(at)
            options = _options(space.head, layout.head, at, width)
            size = self._maps(self._size(at))[-1][1]
            return self._cost(Unit("head", options, width, width, size, space.num_classes, space.distilled))

        found.append((_genes(layout.resolution, *width_gene, layout.head), head_cost))
        return found

    def _downsample_cost(self, index: int, part: PartSpace, fields: Fields, before_of: Any, width_of: Any) -> PlaceCost:
        def cost(at: Choices) -> np.ndarray:
            width = width_of(at)
            size_in = self._maps(self._size(at))[index][0]
            return self._cost(Unit("downsample", _options(part, fields, at, width), before_of(at), width, size_in))

        return cost

    def _position_cost(self, index: int, width_of: Any) -> PlaceCost:
        def cost(at: Choices) -> np.ndarray:
            width = width_of(at)
            return self._cost(Unit("position", None, width, width, self._maps(self._size(at))[index][1]))

        return cost

    def _slot_cost(self, index: int, slot: int, width_of: Any) -> PlaceCost:
        stage, genes = self.space.stages[index], self.space.layout.stages[index]

        def cost(at: Choices) -> np.ndarray:
            kind = at[genes.kinds[slot]]
            if stage.drop_anywhere:
                kind -= 1
            is_empty = kind < 0 if stage.drop_anywhere else slot >= stage.depths[at[genes.depth]]
            if is_empty:
                return np.zeros(self.offset.shape)
            fields, width, size = genes.fields[slot][kind], width_of(at), self._size(at)
            place = (index, kind, width, size, *(at[gene] for gene in fields.values()))
            if place not in self._blocks:  # the same in all slots of the stage
                options = _options(stage.kinds[kind].part, fields, at, width)
                self._blocks[place] = self._cost(Unit("block", options, width, width, self._maps(size)[index][1]))
            return self._blocks[place]

        return cost

    def _size(self, at: Choices) -> Size:
        resolution = self.space.resolutions[at[self.space.layout.resolution]]
        return resolution if isinstance(resolution, tuple) else (resolution, resolution)


def _genes(*parts: int | Fields | None) -> list[int]:
    """Each once, those that exist."""
    found: dict[int, None] = {}
    for part in parts:
        for gene in part.values() if isinstance(part, dict) else [part]:
            if gene is not None:
                found[gene] = None
    return list(found)


def _options(part: PartSpace, fields: Fields, at: Choices, width: int) -> Any:
    return part.options({name: at[gene] for name, gene in fields.items()}, width)


def _stem_width(space: Space, fields: Fields) -> tuple[list[int | None], Callable[[Choices], int]]:
    """The genes that decide on the stem's width, and the width they give."""
    gene = fields.get("width")
    widths = [stem.width for stem in space.stem.all_options(0)] if gene is None else _widths_by(space.stem, "width")
    return [gene], _by_gene(gene, widths)


def _by_gene(gene: int | None, widths: Sequence[int]) -> Callable[[Choices], int]:
    return lambda at: widths[at[gene]]


def _widths_by(part: PartSpace, field: str) -> list[int]:
    count = next(open_.count for open_ in part.open if open_.field == field)
    return [part.options({field: choice}, 0).width for choice in range(count)]
