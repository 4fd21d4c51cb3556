"""Parameters and multiply-accumulates of a spec by arithmetic: no module is built.

MACs are those of convolutions, transposed convolutions, linear layers and both matrix products of attention, for one
image. Norms, activations, pooling, interpolation, softmax and additions are not counted; PyTorch's flop counter draws
the same line. Published figures may draw another: docs/networks.md.
"""

from __future__ import annotations

from typing import NamedTuple

from .blocks import block_cost
from .downsamples import downsample_cost
from .options import Cost, area
from .spec import NetSpec, places


class Count(NamedTuple):
    params: int
    macs: int
    parts: tuple[tuple[str, Cost], ...]
    """The cost of each part under its path: `stem`, `stages[0].blocks[2]`, `head` …"""


def count(spec: NetSpec) -> Count:
    parts = [("stem", spec.stem.cost(spec.in_chans, spec.size))]
    for stage, place in zip(spec.stages, places(spec.stem, spec.stages, spec.size), strict=True):
        if stage.downsample is not None:
            cost = downsample_cost(stage.downsample, place.width_in, place.width, place.size_in)
            parts.append((f"{place.path}.downsample", cost))
        if stage.position_table:
            parts.append((f"{place.path}.position_table", Cost(params=place.width * area(place.size))))
        for index, block in enumerate(stage.blocks):
            parts.append((f"{place.path}.blocks[{index}]", block_cost(block, place.width, place.size)))
        size = place.size
    parts.append(("head", spec.head.cost(spec.stages[-1].width, spec.num_classes, spec.distilled, size)))
    return Count(sum(cost.params for _, cost in parts), sum(cost.macs for _, cost in parts), tuple(parts))
