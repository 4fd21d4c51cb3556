"""A space with some dimensions held as in its largest member, for training that makes one after the other elastic."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from ..options import Kind
from ..stages import Stage
from ..values import SpecError, show
from .choices import DIMENSIONS, Open, PartSpace
from .placement import KindRule

if TYPE_CHECKING:
    from .space import Space, StageSpace


def restricted(space: Space, elastic: Collection[str]) -> Space:
    unknown = sorted(set(elastic) - set(DIMENSIONS))
    if unknown:
        raise SpecError("elastic", f"{show(unknown[0])} is not one of {', '.join(DIMENSIONS)}")
    largest = space.largest()
    stages = tuple(_stage(ours, stage, elastic) for ours, stage in zip(space.stages, largest.stages, strict=True))
    return replace(
        space,
        resolutions=space.resolutions if "resolution" in elastic else (largest.resolution,),
        stem=_part(space.stem, largest.stem, largest.stem.width, elastic),
        stages=stages,
        head=_part(space.head, largest.head, 0, elastic),
    )


def _stage(ours: StageSpace, stage: Stage, elastic: Collection[str]) -> StageSpace:
    kinds = []
    for kind in ours.kinds:
        held = [slot for slot, b in zip(stage.block_slots, stage.blocks, strict=True) if type(b) is kind.part.kind]
        rule = kind.rule
        if "attention" not in elastic:
            rule = KindRule(tuple(held), (rule.blocks[0], len(held)))
        if rule.slots:
            example = next((block for block in stage.blocks if type(block) is kind.part.kind), None)
            kinds.append(replace(kind, part=_part(kind.part, example, stage.width, elastic), rule=rule))
    found = replace(
        ours,
        widths=ours.widths if "width" in elastic else ours.widths and (stage.width,),
        kinds=tuple(kinds),
        downsample=ours.downsample and _part(ours.downsample, stage.downsample, stage.width, elastic),
    )
    depths = ours.depths if "depth" in elastic else (max(ours.depths),)
    return replace(found, depths=tuple(depth for depth in depths if found.placements.counts(depth)))


def _part(part: PartSpace, largest: Kind | None, width: int, elastic: Collection[str]) -> PartSpace:
    """Fields of the other dimensions keep the choice of the largest network; where it has none, the last one."""
    fixed, opened = dict(part.fixed), []
    for field in part.open:
        values = field.at(width)
        choice = values.index(getattr(largest, field.field)) if largest is not None else field.count - 1
        kept = field
        if field.by_width and "width" not in elastic:
            kept = Open(field.field, values)
        if field.dimension not in elastic:
            kept = replace(
                kept,
                values=kept.values[choice : choice + 1],
                by_width=tuple((known, one[choice : choice + 1]) for known, one in kept.by_width),
            )
        if len(kept.values) == 1:
            fixed[field.field] = kept.values[0]
        else:
            opened.append(kept)
    in_order = [(name, fixed[name]) for name in part.kind.__struct_fields__ if name in fixed]
    return replace(part, fixed=tuple(in_order), open=tuple(opened))
