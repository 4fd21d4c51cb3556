"""The networks that `bench/proof.py` holds beside the found ones: published and uniformly scaled, each in many widths.

A ladder is a list of networks that differ in size only. From each the largest is taken that is as fast as asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from supernet import NetSpec, Space, SpecError, count
from supernet.stages import Stage

FINEST = 16
"""Widths of published networks come in sixteenths."""
STEPS = 12
"""So many parts of the largest network's width and depth are a step of the uniform ladder."""
FILLED = 2
"""Steps by which the width alone may go on, since a depth is a whole number of blocks."""


def published_ladder(spec: NetSpec, space: Space, most: int = 8) -> list[NetSpec]:
    """For the images and classes of the space, with the strides of its stem, in widths from 1/16 to `most`/16."""
    stem = msgspec.structs.replace(spec.stem, strides=msgspec.to_builtins(space.largest().stem)["strides"])
    size = max(space.resolutions)
    adapted = spec.with_(stem=stem, resolution=size, in_chans=space.in_chans, num_classes=space.num_classes)
    return _distinct(_scaled_or_none(adapted, step / FINEST) for step in range(1, most + 1))


def uniform_ladder(largest: NetSpec, most: int = 16) -> list[NetSpec]:
    """One factor for widths and depths; what rounding of the depth leaves over goes into the width."""
    pairs = [(step + more, step) for step in range(STEPS // 4, most + 1) for more in range(FILLED + 1)]
    return _distinct(_scaled_or_none(largest, width / STEPS, depth / STEPS) for width, depth in pairs)


def scaled(spec: NetSpec, width: float, depth: float = 1.0) -> NetSpec:
    """Widths become the nearest even number, depths the nearest from 1 on; blocks that go are spread over the stage."""
    stages = tuple(
        msgspec.structs.replace(stage, width=_even(stage.width * width), blocks=_thinned(stage, depth), slots=None)
        for stage in spec.stages
    )
    stem = msgspec.structs.replace(spec.stem, width=_even(spec.stem.width * width))
    return spec.with_(stem=stem, stages=stages)


def within(ladder: Sequence[NetSpec], ms: Mapping[NetSpec, float], limit_ms: float) -> NetSpec | None:
    """The one with the most multiply-accumulates that takes at most so long; None if none does."""
    fast = [spec for spec in ladder if ms[spec] <= limit_ms]
    return max(fast, key=lambda spec: count(spec).macs, default=None)


def _even(width: float) -> int:
    return max(2, 2 * math.floor(width / 2 + 0.5))


def _thinned(stage: Stage, depth: float) -> tuple[Any, ...]:
    number = max(1, math.floor(len(stage.blocks) * depth + 0.5))
    return tuple(stage.blocks[math.floor((index + 0.5) * len(stage.blocks) / number)] for index in range(number))


def _scaled_or_none(spec: NetSpec, width: float, depth: float = 1.0) -> NetSpec | None:
    try:
        return scaled(spec, width, depth)
    except SpecError:  # such as a reduction that does not divide so small a width
        return None


def _distinct(specs: Any) -> list[NetSpec]:
    return list(dict.fromkeys(spec for spec in specs if spec is not None))
