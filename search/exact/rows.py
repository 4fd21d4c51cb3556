"""Networks part by part, many at once, and their codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from supernet import Space
from supernet.space.choices import PartSpace
from supernet.space.genes import Fields

from .arrangements import Arrangements

Array = np.ndarray


@dataclass(frozen=True)
class StageRows:
    """All as indices: of the stage's widths, the options of what stands before the blocks, and the numbers of blocks by
    kind. `blocks` has the options of each block for each kind; columns past the number of blocks say nothing."""

    width: Array
    entry: Array
    counts: Array
    blocks: tuple[Array, ...]


@dataclass(frozen=True)
class Rows:
    resolution: Array
    stem: Array
    stages: tuple[StageRows, ...]
    head: Array


class Writer:
    """Where the blocks of a row stand is drawn: all arrangements are equally probable."""

    def __init__(self, space: Space, arrangements: Sequence[Arrangements]) -> None:
        self.space, self.arrangements = space, arrangements
        layout = space.layout
        self._stem, self._head = _values(space.stem, layout.stem), _values(space.head, layout.head)
        self._entry = [
            _values(stage.downsample, genes.downsample) if stage.downsample is not None else {}
            for stage, genes in zip(space.stages, layout.stages, strict=True)
        ]
        self._blocks = [
            [[_values(kind.part, of_slot[number]) for number, kind in enumerate(stage.kinds)] for of_slot in fields]
            for stage, fields in (
                (stage, genes.fields) for stage, genes in zip(space.stages, layout.stages, strict=True)
            )
        ]

    def codes(self, rows: Rows, rng: np.random.Generator) -> Array:
        columns = np.zeros((len(self.space.layout.choices), len(rows.resolution)), dtype=np.int32)
        if self.space.layout.resolution is not None:
            columns[self.space.layout.resolution] = rows.resolution
        for part, options in ((self._stem, rows.stem), (self._head, rows.head)):
            for gene, values in part.items():
                columns[gene] = values[options]
        for index, stage in enumerate(rows.stages):
            self._write_stage(columns, index, stage, rng)
        return np.ascontiguousarray(columns.T)

    def _write_stage(self, columns: Array, index: int, rows: StageRows, rng: np.random.Generator) -> None:
        stage, genes = self.space.stages[index], self.space.layout.stages[index]
        if genes.width is not None:
            columns[genes.width] = rows.width
        for gene, values in self._entry[index].items():
            columns[gene] = values[rows.entry]
        arrangements = self.arrangements[index]
        if genes.depth is not None:
            depths = np.array([stage.depths.index(sum(counts)) for counts in arrangements.counts])
            columns[genes.depth] = depths[rows.counts]
        placements = arrangements.draw(rng, rows.counts)
        before = np.zeros((len(stage.kinds), len(rows.counts)), dtype=np.int64)
        for slot in range(placements.shape[1]):
            held = placements[:, slot]
            gene_of_kind = genes.kinds[slot]
            if gene_of_kind is not None:
                columns[gene_of_kind] = held + 1 if stage.drop_anywhere else np.maximum(held, 0)
            for kind in range(len(stage.kinds)):
                here = np.flatnonzero(held == kind)
                options = rows.blocks[kind][here, before[kind, here]]
                before[kind, here] += 1
                for gene, values in self._blocks[index][slot][kind].items():
                    columns[gene, here] = values[options]


def _values(part: PartSpace, fields: Fields) -> dict[int, Array]:
    """For each gene, its value for each of the part's options."""
    counts = [open_.count for open_ in part.open]
    if not counts:
        return {}
    values = np.unravel_index(np.arange(part.count), counts)
    by_name = {open_.field: one.astype(np.int32) for open_, one in zip(part.open, values, strict=True)}
    return {gene: by_name[name] for name, gene in fields.items()}
