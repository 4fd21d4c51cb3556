"""How important blocks are, and what a network is worth by that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from supernet import NetSpec, Space
from supernet.blocks import block_cost
from supernet.stages import places

from .covering import largest_blocks


@dataclass(frozen=True)
class Importances:
    """`blocks[stage][slot, kind]` is the share of a block over that of the way around it, as published: 1 says that the
    block is chosen as often as nothing in its place. 0 where the slot can't hold the kind."""

    blocks: tuple[np.ndarray, ...]


class Worth:
    """`worth(spec)` is the sum of the importances of a network's blocks, each times the share of multiply-accumulates
    that it has of the largest block of its kind. What an action loses is the difference.

    For a block that goes that is its importance, for a kind that takes another's place the difference of theirs, as
    published. The shares are ours: narrower stages, smaller expansions, kernels, heads and resolutions lose of each
    block what they take of it. Stem, downsamples and head have no way around; each is as important as the blocks of
    the largest network are in the mean.
    """

    def __init__(self, space: Space, importances: Importances) -> None:
        largest = space.largest()
        sites = list(places(largest.stem, largest.stages, largest.size))
        self._kinds = [{kind.part.kind: index for index, kind in enumerate(stage.kinds)} for stage in space.stages]
        self._per_mac = [
            found / np.array([block_cost(block, place.width, place.size).macs for block in blocks], dtype=np.float64)
            for found, blocks, place in zip(importances.blocks, largest_blocks(space), sites, strict=True)
        ]
        held = [importances.blocks[stage][slot, kind] for stage, slot, kind, _ in self._blocks(largest)]
        other = float(np.mean(held)) if held else 1.0
        self._other_per_mac = {path: other / max(macs, 1) for path, macs in _others(largest)}

    def __call__(self, spec: NetSpec) -> float:
        blocks = sum(self._per_mac[stage][slot, kind] * macs for stage, slot, kind, macs in self._blocks(spec))
        return float(blocks) + sum(self._other_per_mac[path] * macs for path, macs in _others(spec))

    def _blocks(self, spec: NetSpec) -> Iterator[tuple[int, int, int, int]]:
        """Stage, slot, kind and multiply-accumulates of each block."""
        sites = places(spec.stem, spec.stages, spec.size)
        for index, (stage, place) in enumerate(zip(spec.stages, sites, strict=True)):
            for slot, block in zip(stage.block_slots, stage.blocks, strict=True):
                macs = block_cost(block, place.width, place.size).macs
                yield index, slot, self._kinds[index][type(block)], macs


def _others(spec: NetSpec) -> list[tuple[str, int]]:
    """The multiply-accumulates of what is no block."""
    return [(part.path, part.cost.macs) for part in spec.parts() if ".blocks[" not in part.path]
