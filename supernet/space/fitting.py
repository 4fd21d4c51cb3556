"""Whether every part of a space fits everywhere it can stand, so that no choice can make a network that isn't one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..blocks import block_cost
from ..downsamples import downsample_cost
from ..families import FAMILIES
from ..options import Size
from ..values import SpecError
from .choices import PartSpace
from .space import Space


def check_fits(space: Space) -> None:
    """Raises SpecError where a part does not fit."""
    _check_kinds(space)
    _each(space.stem, 0, "stem", lambda stem: stem)
    _each(space.head, 0, "head", lambda head: head)
    sizes = [(size, size) if isinstance(size, int) else size for size in space.resolutions]
    for size in sizes:
        incoming: Sequence[int] = sorted({stem.width for stem in space.stem.all_options(0)})
        for index, (size_in, size_out) in enumerate(space.maps(size)):
            widths = space.stages[index].widths or incoming
            for width in widths:
                try:
                    _check_stage(space, index, width, incoming[0], size_in, size_out)
                except SpecError as error:
                    image = f"width {width} and images of {size[0]}x{size[1]} pixels"
                    raise SpecError(error.path, f"{error.message} (with {image})") from None
            incoming = widths
    space.largest(), space.smallest()  # made, they are checked as any spec


def _check_stage(space: Space, index: int, width: int, width_in: int, size_in: Size, size: Size) -> None:
    stage, path = space.stages[index], f"stages[{index}]"
    if stage.downsample is not None:
        _each(
            stage.downsample, width, f"{path}.downsample", lambda down: downsample_cost(down, width_in, width, size_in)
        )
    for number, kind in enumerate(stage.kinds):
        _each(kind.part, width, f"{path}.blocks[{number}]", lambda block: block_cost(block, width, size))


def _each(part: PartSpace, width: int, path: str, check: Callable[[Any], Any]) -> None:
    try:
        for options in part.examples(width):
            check(options)
    except SpecError as error:
        raise error.under(path) from None


def _check_kinds(space: Space) -> None:
    family = FAMILIES[space.family]

    def check(path: str, part: PartSpace, allowed: tuple[str, ...]) -> None:
        if part.name not in allowed:
            rule = f"{space.family} takes {', '.join(allowed)}; the family hybrid takes all kinds"
            raise SpecError(f"{path}.kind", f"{part.name!r} is not a part of this family: {rule}")

    check("stem", space.stem, family.stems)
    check("head", space.head, family.heads)
    for index, stage in enumerate(space.stages):
        if stage.downsample is not None:
            check(f"stages[{index}].downsample", stage.downsample, family.downsamples)
        for number, kind in enumerate(stage.kinds):
            check(f"stages[{index}].blocks[{number}]", kind.part, family.blocks)
