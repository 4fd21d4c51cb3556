"""All networks of a small space, as codes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np

from supernet import Space, SpecError
from supernet.space.genes import Fields
from supernet.space.placement import EMPTY

from .arrangements import Arrangements

Array = np.ndarray
MAX_NETWORKS = 2_000_000


def enumerate_codes(space: Space) -> Array:
    """Each network once, as a canonical code, in an order that is always the same."""
    if space.size > MAX_NETWORKS:
        raise SpecError("space", f"its {space.size:.4g} networks are too many to list: {MAX_NETWORKS:,} are the most")
    layout = space.layout
    parts = [_product(space, [layout.resolution, *layout.stem.values()])]
    parts += [_of_stage(space, index) for index in range(len(space.stages))]
    parts.append(_product(space, layout.head.values()))
    found = np.zeros((1, len(layout.choices)), dtype=np.int32)
    for part in parts:  # each has other genes than those before it
        found = (found[:, None, :] + part).reshape(-1, len(layout.choices))
    return found


def _product(space: Space, genes: Iterable[int | None]) -> Array:
    """All values of these genes, with 0 for all others."""
    open_ = [gene for gene in genes if gene is not None]
    values = list(itertools.product(*(range(space.layout.choices[gene]) for gene in open_)))
    found = np.zeros((len(values), len(space.layout.choices)), dtype=np.int32)
    found[:, open_] = np.array(values, dtype=np.int32).reshape(len(values), len(open_))
    return found


def _of_stage(space: Space, index: int) -> Array:
    stage, genes = space.stages[index], space.layout.stages[index]
    arrangements = Arrangements(stage.placements)
    found = []
    for counts in arrangements.counts:
        for placement in arrangements.each(counts):
            fields: list[Fields] = [genes.fields[slot][kind] for slot, kind in enumerate(placement) if kind != EMPTY]
            codes = _product(space, [gene for one in fields for gene in one.values()])
            if genes.depth is not None:
                codes[:, genes.depth] = stage.depths.index(sum(counts))
            for slot, kind in enumerate(placement):
                gene = genes.kinds[slot]
                if gene is not None:
                    codes[:, gene] = kind + 1 if stage.drop_anywhere else max(kind, 0)
            found.append(codes)
    before = _product(space, [genes.width, *genes.downsample.values()])
    inside = np.concatenate(found)
    return (before[:, None, :] + inside).reshape(-1, inside.shape[1])
