"""A network as a value. A `NetSpec` that exists is a network that runs: all rules are checked when one is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

import msgspec

from .blocks import Block, block_cost
from .downsamples import Downsample, downsample_cost
from .families import FAMILIES
from .heads import Head
from .options import Limit, Options, Size, SpecError, Width, did_you_mean, strided
from .stems import Stem

MAX_STAGES = 8
MAX_BLOCKS = 256
"""In one stage; the deepest published one has 30."""
MAX_PARAMS = 10**9
"""Of a whole network. Mobile networks have a hundredth; a typing error must not ask the machine for terabytes."""

Pixels = Annotated[int, Limit(16, 4096)]


class Stage(Options, frozen=True):
    """A downsample, unless the stage goes on at the size it gets; a position table, if asked for; then blocks."""

    width: Width
    blocks: tuple[Block, ...]
    downsample: Downsample | None = None
    position_table: bool = False


class NetSpec(Options, frozen=True):
    """`resolution` is the side of a square image, or height and width. With `num_classes` 0 there is no classifier."""

    family: str
    stem: Stem
    stages: tuple[Stage, ...]
    head: Head
    resolution: Pixels | tuple[Pixels, Pixels] = 224
    in_chans: Annotated[int, Limit(1, 1024)] = 3
    num_classes: Annotated[int, Limit(0, 1_000_000)] = 1000
    distilled: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.resolution, tuple) and self.resolution[0] == self.resolution[1]:
            msgspec.structs.force_setattr(self, "resolution", self.resolution[0])  # one value, one form
        _check_kinds(self)
        _check_shapes(self)

    @property
    def size(self) -> Size:
        """Height and width of the image."""
        return self.resolution if isinstance(self.resolution, tuple) else (self.resolution, self.resolution)

    def with_(self, **changes: object) -> NetSpec:
        """A copy with other field values, checked like any spec."""
        return msgspec.structs.replace(self, **changes)


class Place(NamedTuple):
    """Where a stage or one of its blocks stands: what comes in, what goes out."""

    path: str
    width_in: int
    width: int
    size_in: Size
    size: Size


def places(stem: Stem, stages: tuple[Stage, ...], size: Size) -> Iterator[Place]:
    """The place of each stage for an image of this size; its blocks all see `width` and `size`."""
    width, size = stem.width, strided(size, stem.stride)
    for index, stage in enumerate(stages):
        out = strided(size, 2) if stage.downsample is not None else size
        yield Place(f"stages[{index}]", width, stage.width, size, out)
        width, size = stage.width, out


def feature_strides(spec: NetSpec) -> list[int]:
    """Pixels of the image per position of each stage's output."""
    strides, stride = [], spec.stem.stride
    for stage in spec.stages:
        stride *= 2 if stage.downsample is not None else 1
        strides.append(stride)
    return strides


def _check_kinds(spec: NetSpec) -> None:
    if spec.family not in FAMILIES:
        raise SpecError("family", f"{spec.family!r} is unknown, {did_you_mean(spec.family, FAMILIES)}")
    family = FAMILIES[spec.family]

    def check(path: str, kind: str, allowed: tuple[str, ...]) -> None:
        if kind not in allowed:
            rule = f"{spec.family} takes {', '.join(allowed)}; the family hybrid takes all kinds"
            raise SpecError(f"{path}.kind", f"{kind!r} is not a part of this family: {rule}")

    check("stem", spec.stem.kind_name(), family.stems)
    check("head", spec.head.kind_name(), family.heads)
    if spec.distilled and not family.distilled:
        raise SpecError("distilled", f"true is not possible: {spec.family} has no second classifier")
    if not 1 <= len(spec.stages) <= MAX_STAGES:
        raise SpecError("stages", f"{len(spec.stages)} stages are not from 1 to {MAX_STAGES}")
    for index, stage in enumerate(spec.stages):
        path = f"stages[{index}]"
        if stage.downsample is not None:
            check(f"{path}.downsample", stage.downsample.kind_name(), family.downsamples)
        if stage.position_table and not family.position_tables:
            raise SpecError(f"{path}.position_table", f"true is not possible: {spec.family} has no position tables")
        if len(stage.blocks) > MAX_BLOCKS:
            raise SpecError(f"{path}.blocks", f"{len(stage.blocks)} blocks are more than {MAX_BLOCKS}")
        for position, block in enumerate(stage.blocks):
            check(f"{path}.blocks[{position}]", block.kind_name(), family.blocks)


def _check_shapes(spec: NetSpec) -> None:
    try:
        params = _params(spec.stem, spec.stages, spec.size)
    except SpecError as error:
        near = _nearest_resolutions(spec)
        raise SpecError(error.path, error.message + near) if near else error from None
    if params > MAX_PARAMS:
        raise SpecError("stages", f"{params / 1e9:.1f} billion parameters are more than {MAX_PARAMS / 1e9:.0f} billion")


def _params(stem: Stem, stages: tuple[Stage, ...], size: Size) -> int:
    """Of all blocks and downsamples, while checking that each fits its place."""
    params = 0
    for stage, place in zip(stages, places(stem, stages, size), strict=True):
        if stage.downsample is not None:
            try:
                params += downsample_cost(stage.downsample, place.width_in, place.width, place.size_in).params
            except SpecError as error:
                raise error.under(f"{place.path}.downsample") from None
        elif place.width != place.width_in:
            rule = f"a stage without downsample keeps the width, which is {place.width_in} here"
            raise SpecError(f"{place.path}.width", f"{place.width} does not fit: {rule}")
        for position, block in enumerate(stage.blocks):
            try:
                params += block_cost(block, place.width, place.size).params
            except SpecError as error:
                raise error.under(f"{place.path}.blocks[{position}]") from None
    return params


def _nearest_resolutions(spec: NetSpec) -> str:
    """The end of an error about a feature map that doesn't fit: which square images would do. Empty if none."""

    def fits(side: int) -> bool:
        try:
            _params(spec.stem, spec.stages, (side, side))
        except SpecError:
            return False
        return True

    wanted = max(spec.size)
    below = next((side for side in range(wanted // 16 * 16, 0, -16) if fits(side)), None)
    above = next((side for side in range(wanted // 16 * 16 + 16, 2 * wanted, 16) if fits(side)), None)
    found = [str(side) for side in (below, above) if side is not None]
    height, width = spec.size
    return f" at resolution {height}x{width}; nearest that work: {', '.join(found)}" if found else ""
