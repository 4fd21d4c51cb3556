"""Space files: written as a network is, with a list where a value is open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..blocks import BLOCKS
from ..config_files import CONFIGS, find_file, names_in
from ..downsamples import DOWNSAMPLES
from ..families import FAMILIES
from ..heads import HEADS
from ..options import Width, field_hints
from ..plain_yaml import parse_yaml, read_yaml
from ..spec import MAX_STAGES, NetSpec
from ..stems import STEMS
from ..values import SpecError, conform, did_you_mean, printable, show
from .fields import Fields, choices, growing, whole_numbers
from .fitting import check_fits
from .part_reading import read_part
from .placement import KindRule
from .space import SlotKind, Space, StageSpace

SPACES = CONFIGS / "spaces"
MAX_SLOTS = 64
"""In one stage; ways to place blocks are counted, and the deepest published network has 30 in one."""


def space_names() -> list[str]:
    return names_in(SPACES)


def load_space(name_or_path: str | Path) -> Space:
    """A space that comes with the project by its name, or any by its file. Raises SpecError, which is a ValueError."""
    shown = printable(str(name_or_path))
    try:
        path = find_file(name_or_path, SPACES, "space")
        return _to_space(read_yaml(path), path.stem)
    except SpecError as error:
        raise SpecError(f"{shown}: {error.path}" if error.path else shown, error.message) from None


def parse_space(text: str, name: str = "") -> Space:
    return _to_space(parse_yaml(text), name)


def _to_space(data: Any, name: str) -> Space:
    fields = Fields(data, "")
    hints = dict(field_hints(NetSpec))

    def plain(field: str, default: Any) -> Any:
        return conform(hints[field], fields.take(field, default), field)

    family = fields.take("family")
    if not isinstance(family, str) or family not in FAMILIES:
        raise SpecError("family", f"{show(family)} is unknown, {did_you_mean(family, FAMILIES)}")
    stages = fields.take("stages")
    if not isinstance(stages, list) or not 1 <= len(stages) <= MAX_STAGES:
        raise SpecError("stages", f"expected a list of 1 to {MAX_STAGES} stages")
    space = Space(
        family=family,
        resolutions=_resolutions(fields.take("resolution", 224), hints["resolution"]),
        stem=read_part(fields.take("stem"), STEMS, "stem"),
        stages=tuple(_read_stage(stage, f"stages[{index}]") for index, stage in enumerate(stages)),
        head=read_part(fields.take("head"), HEADS, "head"),
        in_chans=plain("in_chans", 3),
        num_classes=plain("num_classes", 1000),
        distilled=plain("distilled", False),
        name=name,
    )
    fields.end()
    check_fits(space)
    return space


def _resolutions(value: Any, hint: Any) -> tuple[Any, ...]:
    """From few pixels to many. A pair of height and width stands in a list of its own: `[[160, 192]]`."""
    found = [conform(hint, size, "resolution") for size in choices(value, "resolution")]
    found = [size[0] if isinstance(size, tuple) and size[0] == size[1] else size for size in found]
    pixels = [size[0] * size[1] if isinstance(size, tuple) else size * size for size in found]
    if pixels != sorted(pixels) or len(set(found)) < len(found):
        raise SpecError("resolution", f"{show(value)} must grow from value to value, in pixels")
    return tuple(found)


def _read_stage(data: Any, path: str) -> StageSpace:
    fields = Fields(data, path)
    downsample = fields.take("downsample", None)
    widths: tuple[int, ...] = ()
    if downsample is not None:
        widths = growing(fields.take("width"), f"{path}.width", Width)
    elif fields.take("width", None) is not None:
        raise SpecError(f"{path}.width", "a stage without downsample keeps the width that comes in; leave it out")
    depths = growing(fields.take("depth"), f"{path}.depth", whole_numbers(0, MAX_SLOTS))
    drop = fields.take("drop", "last")
    if drop not in ("last", "any"):
        raise SpecError(f"{path}.drop", f"{show(drop)} is not one of last, any")
    kinds = fields.take("blocks", [])
    if not isinstance(kinds, list) or bool(kinds) != bool(depths[-1]):
        wanted = "the kinds a slot may hold" if depths[-1] else "nothing, as there is no slot at depth 0"
        raise SpecError(f"{path}.blocks", f"expected a list of {wanted}")
    share = fields.take("share", [])
    if not isinstance(share, str | list):
        raise SpecError(f"{path}.share", f"{show(share)} can't stand here: expected a list of branches")
    stage = StageSpace(
        widths=widths,
        depths=depths,
        kinds=tuple(_read_kind(kind, f"{path}.blocks[{i}]", depths[-1], widths) for i, kind in enumerate(kinds)),
        downsample=None if downsample is None else read_part(downsample, DOWNSAMPLES, f"{path}.downsample", widths),
        drop_anywhere=drop == "any",
        share=conform(tuple[str, ...], [share] if isinstance(share, str) else share, f"{path}.share"),
        position_table=conform(bool, fields.take("position_table", False), f"{path}.position_table"),
    )
    fields.end()
    _check_stage(stage, path)
    return stage


def _check_stage(stage: StageSpace, path: str) -> None:
    names = [kind.part.name for kind in stage.kinds]
    if len(set(names)) < len(names):
        raise SpecError(f"{path}.blocks", f"{', '.join(names)}: a kind can stand here once, with its values in lists")
    for depth in stage.depths:
        if not stage.placements.counts(depth):
            rule = "`slots` and `count` of the kinds forbid it"
            raise SpecError(f"{path}.depth", f"{depth} blocks can't be placed: {rule}")
    for branch in stage.share:
        for kind in stage.kinds:
            known = {name.split(".")[0] for name in kind.part.kind.axes}
            if branch not in known:
                rule = f"{show(branch)} is not a branch of the kind {kind.part.name}, {did_you_mean(branch, known)}"
                raise SpecError(f"{path}.share", rule)


def _read_kind(data: Any, path: str, num_slots: int, widths: tuple[int, ...]) -> SlotKind:
    fields = Fields(data, path)
    every = {"from": 0, "to": num_slots - 1}
    slots = growing(fields.take("slots", every), f"{path}.slots", whole_numbers(0, num_slots - 1))
    any_number = {"from": 0, "to": num_slots}
    number = growing(fields.take("count", any_number), f"{path}.count", whole_numbers(0, num_slots))
    if len(number) != number[-1] - number[0] + 1:
        rule = "expected all numbers from the first to the last"
        raise SpecError(f"{path}.count", f"{show(list(number))} has gaps: {rule}")
    return SlotKind(read_part(fields.left, BLOCKS, path, widths), KindRule(slots, (number[0], number[-1])))
