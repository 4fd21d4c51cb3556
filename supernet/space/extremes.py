"""The largest and the smallest member of a space by MACs; of those with equally many, by parameters.

Once the widths are chosen, every part costs what it costs by itself, so that each choice is made alone. The widths of
neighbouring stages meet in a downsample: the best start of a network is found for each width it may end with, stage by
stage.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from ..blocks import block_cost
from ..downsamples import downsample_cost
from ..options import Cost, Size, area
from ..spec import NetSpec
from ..stages import Stage
from .placement import EMPTY

if TYPE_CHECKING:
    from .space import Space, StageSpace


@dataclass(frozen=True)
class _Start:
    """A network up to some stage."""

    cost: Cost
    stem: Any
    stages: tuple[Stage, ...] = ()


@dataclass(frozen=True)
class _Search:
    space: Space
    largest: bool

    def best(self, found: Iterable[tuple[Any, Cost]]) -> tuple[Any, Cost]:
        """Of equally costly ones, the last for the largest network: values are listed from cheap to expensive."""
        pairs = list(found)
        if self.largest:
            return max(reversed(pairs), key=_macs_then_params)
        return min(pairs, key=_macs_then_params)

    def network(self) -> NetSpec:
        found: NetSpec = self.best(map(self.at_resolution, self.space.resolutions))[0]
        return found

    def at_resolution(self, resolution: Any) -> tuple[NetSpec, Cost]:
        space = self.space
        size = (resolution, resolution) if isinstance(resolution, int) else resolution
        starts = self.per_width(
            (stem.width, _Start(stem.cost(space.in_chans, size), stem)) for stem in space.stem.all_options(0)
        )
        maps = space.maps(size)
        for stage, (size_in, size_out) in zip(space.stages, maps, strict=True):
            starts = self.per_width(self.longer(starts, stage, size_in, size_out))

        def whole(width: int, start: _Start) -> Iterator[tuple[tuple[_Start, Any], Cost]]:
            for head in space.head.all_options(0):
                cost = head.cost(width, space.num_classes, space.distilled, maps[-1][1])
                yield (start, head), start.cost + cost

        (start, head), cost = self.best(one for width, start in starts.items() for one in whole(width, start))
        spec = NetSpec(
            family=space.family,
            stem=start.stem,
            stages=start.stages,
            head=head,
            resolution=resolution,
            in_chans=space.in_chans,
            num_classes=space.num_classes,
            distilled=space.distilled,
        )
        return spec, cost

    def per_width(self, starts: Iterable[tuple[int, _Start]]) -> dict[int, _Start]:
        grouped: dict[int, list[tuple[_Start, Cost]]] = {}
        for width, start in starts:
            grouped.setdefault(width, []).append((start, start.cost))
        return {width: self.best(group)[0] for width, group in grouped.items()}

    def longer(
        self, starts: dict[int, _Start], ours: StageSpace, size_in: Size, size: Size
    ) -> Iterator[tuple[int, _Start]]:
        for width in ours.widths or tuple(starts):
            stage, cost = self.stage(ours, width, size)
            if ours.downsample is None:
                start = starts[width]
                yield width, _Start(start.cost + cost, start.stem, (*start.stages, stage))
                continue
            downs = list(ours.downsample.all_options(width))
            for width_in, start in starts.items():
                down, spent = self.best((down, downsample_cost(down, width_in, width, size_in)) for down in downs)
                whole = msgspec.structs.replace(stage, downsample=down)
                yield width, _Start(start.cost + spent + cost, start.stem, (*start.stages, whole))

    def stage(self, ours: StageSpace, width: int, size: Size) -> tuple[Stage, Cost]:
        """All of a stage but its downsample."""
        best = [
            self.best((block, block_cost(block, width, size)) for block in kind.part.all_options(width))
            for kind in ours.kinds
        ]
        depth = (max if self.largest else min)(ours.depths)

        def total(counts: tuple[int, ...]) -> Cost:
            pairs = [(number, cost) for number, (_, cost) in zip(counts, best, strict=True)]
            return Cost(sum(n * cost.params for n, cost in pairs), sum(n * cost.macs for n, cost in pairs))

        counts, cost = self.best((counts, total(counts)) for counts in ours.placements.counts(depth))
        # Attention, which costs more, comes late, as in the published networks.
        order = sorted(range(len(best)), key=lambda kind: _macs_then_params(best[kind]))
        filled = [(s, kind) for s, kind in enumerate(ours.placements.arrange(counts, order)) if kind != EMPTY]
        stage = Stage(
            width=width,
            blocks=tuple(best[kind][0] for _, kind in filled),
            position_table=ours.position_table,
            slots=tuple(slot for slot, _ in filled),
        )
        return stage, cost + Cost(params=width * area(size) if ours.position_table else 0)


def _macs_then_params(found: tuple[Any, Cost]) -> tuple[int, int]:
    return found[1].macs, found[1].params


def extreme(space: Space, largest: bool) -> NetSpec:
    return _Search(space, largest).network()
