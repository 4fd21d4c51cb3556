"""The cost of every part of a network, by arithmetic, while checking that each part fits its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .blocks import block_cost
from .downsamples import downsample_cost
from .heads import Head
from .options import Cost, Size, area
from .stages import Place, Stage, places
from .stems import Stem
from .values import SpecError


class Part(NamedTuple):
    """`stem`, `stages[0].downsample`, `stages[0].position_table`, `stages[0].blocks[2]`, `head`."""

    path: str
    cost: Cost


def part_costs(
    stem: Stem, stages: Sequence[Stage], head: Head, size: Size, in_chans: int, num_classes: int, distilled: bool
) -> list[Part]:
    parts = [Part("stem", stem.cost(in_chans, size))]
    for stage, place in zip(stages, places(stem, stages, size), strict=True):
        parts += _stage_costs(stage, place)
        last = place
    parts.append(Part("head", head.cost(last.width, num_classes, distilled, last.size)))
    return parts


def _stage_costs(stage: Stage, place: Place) -> list[Part]:
    parts = []
    if stage.downsample is not None:
        path = f"{place.path}.downsample"
        try:
            parts.append(Part(path, downsample_cost(stage.downsample, place.width_in, place.width, place.size_in)))
        except SpecError as error:
            raise error.under(path) from None
    elif place.width != place.width_in:
        rule = f"a stage without downsample keeps the width, which is {place.width_in} here"
        raise SpecError(f"{place.path}.width", f"{place.width} does not fit: {rule}")
    if stage.position_table:
        parts.append(Part(f"{place.path}.position_table", Cost(params=place.width * area(place.size))))
    for index, block in enumerate(stage.blocks):
        path = f"{place.path}.blocks[{index}]"
        try:
            parts.append(Part(path, block_cost(block, place.width, place.size)))
        except SpecError as error:
            raise error.under(path) from None
    return parts
