"""A network as a value. A `NetSpec` that exists is a network that runs: all rules are checked when one is made."""

from __future__ import annotations

from typing import Annotated

import msgspec

from .costs import Part, part_costs
from .families import FAMILIES
from .heads import Head
from .options import Options, Size
from .stages import Stage
from .stems import Stem
from .values import Limit, SpecError, did_you_mean

MAX_STAGES = 8
MAX_BLOCKS = 256
"""In one stage; the deepest published one has 30."""
MAX_PARAMS = 10**9
"""Of a whole network. Mobile networks have a hundredth; a typing error must not ask the machine for terabytes."""

Pixels = Annotated[int, Limit(16, 4096)]


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

    @property
    def fixed_size(self) -> bool:
        """Whether a built network takes images of its own size only, because it has position tables."""
        return any(
            stage.position_table
            or any(block.fixed_size for block in stage.blocks)
            or (stage.downsample is not None and stage.downsample.fixed_size)
            for stage in self.stages
        )

    def parts(self) -> list[Part]:
        """All parts of the network with their paths and costs."""
        return _parts(self, self.size)

    def with_(self, **changes: object) -> NetSpec:
        """A copy with other field values, checked like any spec."""
        return msgspec.structs.replace(self, **changes)


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
        parts = _parts(spec, spec.size)
    except SpecError as error:
        raise SpecError(error.path, error.message + _nearest_resolutions(spec)) from None
    params = sum(part.cost.params for part in parts)
    if params > MAX_PARAMS:
        largest = max(parts, key=lambda part: part.cost.params)
        raise SpecError(
            largest.path,
            f"{largest.cost.params / 1e9:.1f} of {params / 1e9:.1f} billion parameters are here; "
            f"a network can have {MAX_PARAMS / 1e9:.0f} billion",
        )


def _parts(spec: NetSpec, size: Size) -> list[Part]:
    stem, head = spec.stem, spec.head
    return part_costs(stem, spec.stages, head, size, spec.in_chans, spec.num_classes, spec.distilled)


def _nearest_resolutions(spec: NetSpec) -> str:
    """The end of an error about a feature map that doesn't fit: which square images would do. Empty if none."""

    def fits(side: int) -> bool:
        try:
            _parts(spec, (side, side))
        except SpecError:
            return False
        return True

    wanted = max(spec.size)
    below = next((side for side in range(wanted // 16 * 16, 0, -16) if fits(side)), None)
    above = next((side for side in range(wanted // 16 * 16 + 16, 2 * wanted, 16) if fits(side)), None)
    found = [str(side) for side in (below, above) if side is not None]
    height, width = spec.size
    return f" (resolution {height}x{width}; nearest that work: {', '.join(found)})" if found else ""
