"""The largest and the smallest member of a space, and the space with some dimensions held at the largest."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..blocks import Block, block_cost
from ..downsamples import downsample_cost
from ..options import Kind
from ..spec import NetSpec
from ..stages import Place, Stage, places
from ..values import SpecError
from .choices import DIMENSIONS, Open, PartSpace
from .placement import EMPTY, KindRule

if TYPE_CHECKING:
    from .space import Space, StageSpace


Pick = Any
"""`max` or `min`."""


def extreme(space: Space, largest: bool) -> NetSpec:
    """The member with the most or fewest MACs: every block's cost is its own, so each choice is made by itself."""
    pick: Pick = max if largest else min
    ends = -1 if largest else 0
    resolution = pick(space.resolutions, key=lambda r: r * r if isinstance(r, int) else r[0] * r[1])
    size = (resolution, resolution) if isinstance(resolution, int) else resolution
    stem: Any = pick(space.stem.all_options(0), key=lambda stem: stem.cost(space.in_chans, size).macs)
    # Only widths and sizes count for the places; the blocks follow.
    frames: list[Stage] = []
    for stage in space.stages:
        width = stage.widths[ends] if stage.widths else (frames[-1].width if frames else stem.width)
        down = next(stage.downsample.all_options(width)) if stage.downsample is not None else None
        frames.append(Stage(width=width, blocks=(), downsample=down))
    stages = []
    for ours, place in zip(space.stages, places(stem, frames, size), strict=True):
        down = _best_downsample(ours, place, pick)
        blocks = [_best_block(kind.part, place, pick) for kind in ours.kinds]
        macs = [block_cost(block, place.width, place.size).macs for block in blocks]
        stages.append(_filled(ours, place.width, down, blocks, macs, largest))

    def head_macs(head: Any, last: Place = place) -> int:
        macs: int = head.cost(last.width, space.num_classes, space.distilled, last.size).macs
        return macs

    head: Any = pick(space.head.all_options(0), key=head_macs)
    return NetSpec(
        family=space.family,
        stem=stem,
        stages=tuple(stages),
        head=head,
        resolution=resolution,
        in_chans=space.in_chans,
        num_classes=space.num_classes,
        distilled=space.distilled,
    )


def _best_downsample(ours: StageSpace, place: Place, pick: Pick) -> Any:
    if ours.downsample is None:
        return None

    def cost(down: Any) -> int:
        return downsample_cost(down, place.width_in, place.width, place.size_in).macs

    return pick(ours.downsample.all_options(place.width), key=cost)


def _best_block(part: PartSpace, place: Place, pick: Pick) -> Any:
    def cost(block: Any) -> tuple[int, int]:
        return block_cost(block, place.width, place.size)

    return pick(part.all_options(place.width), key=cost)


def _filled(
    ours: StageSpace, width: int, down: Kind | None, blocks: list[Block], macs: list[int], largest: bool
) -> Stage:
    depth = (max if largest else min)(ours.depths)

    def total(counts: tuple[int, ...]) -> int:
        return sum(count * macs[kind] for kind, count in enumerate(counts))

    counts = (max if largest else min)(ours.placements.counts(depth), key=total)
    cheap_first = sorted(range(len(blocks)), key=macs.__getitem__)  # attention, which costs more, comes late
    placement = ours.placements.arrange(depth, counts, cheap_first)
    filled = [(slot, kind) for slot, kind in enumerate(placement) if kind != EMPTY]
    return Stage(
        width=width,
        blocks=tuple(blocks[kind] for _, kind in filled),
        downsample=down,  # type: ignore[arg-type]
        position_table=ours.position_table,
        slots=tuple(slot for slot, _ in filled),
    )


def restricted(space: Space, elastic: Collection[str]) -> Space:
    unknown = set(elastic) - set(DIMENSIONS)
    if unknown:
        raise SpecError("elastic", f"{sorted(unknown)[0]!r} is not one of {', '.join(DIMENSIONS)}")
    largest = space.largest()
    stages = tuple(
        _restricted_stage(ours, stage, elastic) for ours, stage in zip(space.stages, largest.stages, strict=True)
    )
    return replace(
        space,
        resolutions=space.resolutions if "resolution" in elastic else (largest.resolution,),
        stem=_restricted_part(space.stem, largest.stem, elastic),
        stages=stages,
        head=_restricted_part(space.head, largest.head, elastic),
    )


def _restricted_stage(ours: StageSpace, stage: Stage, elastic: Collection[str]) -> StageSpace:
    widths = ours.widths if "width" in elastic else ours.widths and (stage.width,)
    kinds = []
    for kind in ours.kinds:
        slots = kind.rule.slots
        example = next((block for block in stage.blocks if type(block) is kind.part.kind), None)
        if "attention" not in elastic:
            held = zip(stage.block_slots, stage.blocks, strict=True)
            slots = tuple(slot for slot, block in held if type(block) is kind.part.kind)
        rule = KindRule(slots, kind.rule.blocks if "attention" in elastic else (0, len(slots)))
        kinds.append(replace(kind, part=_restricted_part(kind.part, example, elastic), rule=rule))
    found = replace(
        ours,
        widths=widths,
        kinds=tuple(kinds),
        downsample=ours.downsample and _restricted_part(ours.downsample, stage.downsample, elastic),
    )
    depths = found.depths if "depth" in elastic else (max(found.depths),)
    return replace(found, depths=tuple(depth for depth in depths if found.placements.counts(depth)))


def _restricted_part(part: PartSpace, largest: Kind | None, elastic: Collection[str]) -> PartSpace:
    """Fields of the other dimensions take the value they have in the largest network, or their last one."""
    fixed, still_open = dict(part.fixed), []
    for field in part.open:
        if field.dimension in elastic or (field.by_width and "width" in elastic):  # which has no one largest value
            still_open.append(field)
        else:
            fixed[field.field] = getattr(largest, field.field) if largest is not None else _last(field)
    return replace(part, fixed=tuple(fixed.items()), open=tuple(still_open))


def _last(field: Open) -> Any:
    return field.by_width[-1][1][-1] if field.by_width else field.values[-1]
