"""Members of a space that together have every kind of block in every slot that may hold it, as large as can be."""

from __future__ import annotations

from dataclasses import replace

from supernet import NetSpec, Space, Stage
from supernet.blocks import Block, block_cost
from supernet.options import Cost, Size
from supernet.space.placement import EMPTY, KindRule, Placement, PlacementSpace
from supernet.space.space import StageSpace
from supernet.stages import places


def covering_members(space: Space) -> list[NetSpec]:
    """All are as the largest network but for the placement of their blocks. There are no more than some stage needs."""
    largest = space.largest()
    blocks = largest_blocks(space)
    found = [covering_placements(stage.placements) for stage in space.stages]
    members = []
    for index in range(max([1, *map(len, found)])):
        stages = [
            _placed(stage, own, placements[min(index, len(placements) - 1)]) if placements else stage
            for stage, own, placements in zip(largest.stages, blocks, found, strict=True)
        ]
        members.append(largest.with_(stages=tuple(stages)))
    return members


def covering_placements(placements: PlacementSpace) -> list[Placement]:
    """None where there is no slot."""
    found: list[Placement] = []
    for slot in range(placements.num_slots):
        for kind in range(len(placements.kinds)):
            if not any(known[slot] == kind for known in found):
                fitting = _with(placements, slot, kind)
                found += [] if fitting is None else [fitting]
    return found


def largest_blocks(space: Space) -> list[list[Block]]:
    """Of each stage and kind, the block with the most MACs at the width and size that the largest network has there; of
    those with equally many, the one with the most parameters."""
    largest = space.largest()
    sites = places(largest.stem, largest.stages, largest.size)
    return [
        [_largest(stage, kind, place.width, place.size) for kind in range(len(stage.kinds))]
        for stage, place in zip(space.stages, sites, strict=True)
    ]


def _largest(stage: StageSpace, kind: int, width: int, size: Size) -> Block:
    def cost(block: Block) -> tuple[int, int]:
        found: Cost = block_cost(block, width, size)
        return found.macs, found.params

    options = list(stage.kinds[kind].part.all_options(width))
    best: Block = max(reversed(options), key=cost)  # values are listed from cheap to expensive
    return best


def _with(placements: PlacementSpace, slot: int, kind: int) -> Placement | None:
    """One with this kind in this slot, as deep as can be. None where the rules allow none.

    The block there counts as a kind of its own that must be there once, and nowhere else.
    """
    if slot not in placements.kinds[kind].slots or placements.kinds[kind].blocks[1] == 0:
        return None
    rules = [KindRule(tuple(one for one in rule.slots if one != slot), rule.blocks) for rule in placements.kinds]
    fewest, most = rules[kind].blocks
    rules[kind] = replace(rules[kind], blocks=(max(fewest - 1, 0), most - 1))
    own = len(rules)
    pinned = replace(placements, kinds=(*rules, KindRule((slot,), (1, 1))))
    for depth in sorted(placements.depths, reverse=True):
        for counts in pinned.counts(depth):
            return tuple(kind if held == own else held for held in pinned.arrange(counts, range(own + 1)))
    return None


def _placed(stage: Stage, blocks: list[Block], placement: Placement) -> Stage:
    filled = [(slot, kind) for slot, kind in enumerate(placement) if kind != EMPTY]
    return Stage(
        width=stage.width,
        blocks=tuple(blocks[kind] for _, kind in filled),
        downsample=stage.downsample,
        position_table=stage.position_table,
        slots=tuple(slot for slot, _ in filled),
    )
