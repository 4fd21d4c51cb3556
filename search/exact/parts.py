"""What each part of a network of a space can cost: all that the cost of a network is added up from.

A part's cost depends on the resolution, the width of its stage (of a downsample: also the width that comes in) and its
own options, never on its slot.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from latency_lut.units import Unit
from supernet import Space, SpecError
from supernet.options import Size

Array = np.ndarray
UnitCost = Callable[[Unit], float]


@dataclass(frozen=True)
class StageParts:
    """`entry` is what stands before the blocks: downsample and position table; by resolution, width that comes in,
    width, and option. Without a downsample only equal widths belong together."""

    entry: Array
    keeps_width: bool
    kinds: tuple[Array, ...]
    """For each kind of block: by resolution, width and option."""

    @property
    def num_widths(self) -> int:
        return int(self.entry.shape[2])

    def sources(self, width: int) -> list[int]:
        """The widths that may come in, as indices."""
        return [width] if self.keeps_width else list(range(self.entry.shape[1]))


@dataclass(frozen=True)
class Parts:
    """Widths are indices: into those of the stem's options, or of the stage. Options stand in the order in which
    `PartSpace.all_options` has them."""

    stem: Array
    """By resolution and option."""
    stem_width: Array
    """The width of each option."""
    stages: tuple[StageParts, ...]
    head: Array
    """By resolution, width of the last stage, and option."""

    @property
    def num_resolutions(self) -> int:
        return len(self.stem)

    def all(self) -> list[Array]:
        return [self.stem, self.head, *(array for stage in self.stages for array in (stage.entry, *stage.kinds))]

    def changed(self, change: Callable[[Array], Array]) -> Parts:
        """Each array in another form; the first axis is always the resolution."""
        stages = tuple(
            StageParts(change(stage.entry), stage.keeps_width, tuple(map(change, stage.kinds))) for stage in self.stages
        )
        return Parts(change(self.stem), self.stem_width, stages, change(self.head))


def read_parts(space: Space, unit_cost: UnitCost) -> Parts:
    known: dict[Unit, float] = {}

    def cost(unit: Unit) -> float:
        if unit not in known:
            known[unit] = float(unit_cost(unit))
            if not math.isfinite(known[unit]):
                raise SpecError("unit_cost", f"{unit} costs {known[unit]}, which is no finite number")
        return known[unit]

    sizes = [size if isinstance(size, tuple) else (size, size) for size in space.resolutions]
    maps = [space.maps(size) for size in sizes]
    stems = list(space.stem.all_options(0))
    widths = list(dict.fromkeys(stem.width for stem in stems))
    stem_width = np.array([widths.index(stem.width) for stem in stems])
    stages = []
    for index in range(len(space.stages)):
        stages.append(_stage(space, index, widths, [of_size[index] for of_size in maps], cost))
        widths = list(space.stages[index].widths) or widths
    about = (space.num_classes, space.distilled)
    heads = list(space.head.all_options(0))
    return Parts(
        np.array([[cost(Unit("stem", stem, space.in_chans, stem.width, size)) for stem in stems] for size in sizes]),
        stem_width,
        tuple(stages),
        np.array(
            [
                [[cost(Unit("head", head, width, width, of_size[-1][1], *about)) for head in heads] for width in widths]
                for of_size in maps
            ]
        ),
    )


def _stage(space: Space, index: int, before: list[int], maps: list[tuple[Size, Size]], cost: UnitCost) -> StageParts:
    stage = space.stages[index]
    widths = list(stage.widths) or before

    def entry(width_in: int, width: int, size_in: Size, size: Size) -> list[float]:
        position = cost(Unit("position", None, width, width, size)) if stage.position_table else 0.0
        if stage.downsample is None:
            return [position]
        options = stage.downsample.all_options(width)
        return [position + cost(Unit("downsample", down, width_in, width, size_in)) for down in options]

    return StageParts(
        np.array(
            [[[entry(one, width, *pair) for width in widths] for one in before] for pair in maps], dtype=np.float64
        ),
        stage.downsample is None,
        tuple(
            np.array(
                [
                    [
                        [cost(Unit("block", block, width, width, size)) for block in kind.part.all_options(width)]
                        for width in widths
                    ]
                    for _, size in maps
                ]
            )
            for kind in stage.kinds
        ),
    )
