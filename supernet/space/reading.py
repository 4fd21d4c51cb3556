"""Space files: written as a network is, with a list where a value is open. All of it is checked to fit."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_origin

from ..blocks import BLOCKS, block_cost
from ..config_files import CONFIGS, find_file, names_in
from ..downsamples import DOWNSAMPLES, downsample_cost
from ..families import FAMILIES
from ..heads import HEADS
from ..options import Kind, field_hints
from ..plain_yaml import parse_yaml, read_yaml
from ..spec import MAX_BLOCKS, MAX_STAGES
from ..stages import Place, Stage, places
from ..stems import STEMS
from ..values import SpecError, did_you_mean, printable, show
from .choices import Open, PartSpace
from .placement import KindRule
from .space import SlotKind, Space, StageSpace

SPACES = CONFIGS / "spaces"


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
    fields = _Fields(data, "")
    family = fields.take("family")
    if not isinstance(family, str) or family not in FAMILIES:
        raise SpecError("family", f"{show(family)} is unknown, {did_you_mean(family, FAMILIES)}")
    resolutions = _choices(fields.take("resolution", 224), "resolution")
    stages = fields.take("stages")
    if not isinstance(stages, list) or not 1 <= len(stages) <= MAX_STAGES:
        raise SpecError("stages", f"expected a list of 1 to {MAX_STAGES} stages")
    space = Space(
        family=family,
        resolutions=tuple(tuple(size) if isinstance(size, list) else size for size in resolutions),
        stem=_read_part(fields.take("stem"), STEMS, "stem"),
        stages=tuple(_read_stage(stage, f"stages[{index}]") for index, stage in enumerate(stages)),
        head=_read_part(fields.take("head"), HEADS, "head"),
        in_chans=fields.take("in_chans", 3),
        num_classes=fields.take("num_classes", 1000),
        distilled=fields.take("distilled", False),
        name=name,
    )
    fields.end()
    _check(space)
    return space


class _Fields:
    """The fields of a mapping, each of which must be taken."""

    def __init__(self, data: Any, path: str) -> None:
        if not isinstance(data, dict):
            raise SpecError(path, f"{show(data)} can't stand here: expected fields and their values")
        self.left, self.path, self.known = dict(data), path, set[str]()

    def take(self, name: str, *default: Any) -> Any:
        self.known.add(name)
        if name in self.left:
            return self.left.pop(name)
        if not default:
            raise SpecError(self.path, f"the field {name!r} is missing")
        return default[0]

    def end(self) -> None:
        for name in self.left:
            path = f"{self.path}.{name}" if self.path else str(name)
            raise SpecError(path, f"there is no such field, {did_you_mean(name, self.known)}")


def _read_stage(data: Any, path: str) -> StageSpace:
    fields = _Fields(data, path)
    has_downsample = isinstance(data, dict) and data.get("downsample") is not None
    widths: list[Any] = []
    if has_downsample:
        widths = _growing(fields.take("width"), f"{path}.width")
    elif fields.take("width", None) is not None:
        raise SpecError(f"{path}.width", "a stage without downsample keeps the width that comes in; leave it out")
    depths = _growing(fields.take("depth"), f"{path}.depth", lowest=0)
    if depths[-1] > MAX_BLOCKS:
        raise SpecError(f"{path}.depth", f"{depths[-1]} blocks are more than {MAX_BLOCKS}")
    drop = fields.take("drop", "last")
    if drop not in ("last", "any"):
        raise SpecError(f"{path}.drop", f"{show(drop)} is not one of last, any")
    kinds = fields.take("blocks", [])
    if not isinstance(kinds, list) or (depths[-1] and not kinds):
        raise SpecError(f"{path}.blocks", "expected a list of the kinds a slot may hold")
    share = fields.take("share", [])
    stage = StageSpace(
        widths=tuple(widths),
        depths=tuple(depths),
        kinds=tuple(_read_kind(kind, f"{path}.blocks[{i}]", depths[-1], widths) for i, kind in enumerate(kinds)),
        downsample=_read_part(data["downsample"], DOWNSAMPLES, f"{path}.downsample", widths)
        if has_downsample
        else None,
        drop_anywhere=drop == "any",
        share=tuple(share) if isinstance(share, list) else (share,),
        position_table=fields.take("position_table", False),
    )
    fields.take("downsample", None)
    fields.end()
    names = [kind.part.name for kind in stage.kinds]
    if len(set(names)) < len(names):
        raise SpecError(f"{path}.blocks", f"{', '.join(names)}: a kind can stand here once, with its values in lists")
    for depth in depths:
        if not stage.placements.counts(depth):
            raise SpecError(
                f"{path}.depth", f"{depth} blocks can't be placed: `slots` and `count` of the kinds forbid it"
            )
    return stage


def _read_kind(data: Any, path: str, num_slots: int, widths: list[Any]) -> SlotKind:
    if not isinstance(data, dict):
        raise SpecError(path, f"{show(data)} can't stand here: expected fields and their values")
    data = dict(data)
    first, last = _pair(data.pop("slots", [0, num_slots - 1]), f"{path}.slots", num_slots - 1)
    fewest, most = _pair(data.pop("count", [0, num_slots]), f"{path}.count", num_slots)
    return SlotKind(_read_part(data, BLOCKS, path, widths), KindRule(tuple(range(first, last + 1)), (fewest, most)))


def _pair(value: Any, path: str, highest: int) -> tuple[int, int]:
    fine = isinstance(value, list) and len(value) == 2 and all(type(v) is int for v in value)
    if not fine or not 0 <= value[0] <= value[1] <= highest:
        raise SpecError(path, f"{show(value)} is not a pair of numbers from 0 to {highest}, the smaller one first")
    return value[0], value[1]


def _read_part(data: Any, kinds: Mapping[str, type[Kind]], path: str, widths: list[Any] | None = None) -> PartSpace:
    fields = _Fields(data, path)
    name = fields.take("kind")
    if not isinstance(name, str) or name not in kinds:
        raise SpecError(f"{path}.kind", f"{show(name)} is unknown, {did_you_mean(name, kinds)}")
    kind, fixed, opened = kinds[name], [], []
    for field, hint in field_hints(kind):
        value = fields.take(field, None)
        if value is None:
            continue  # a required one is missed below, where the options are made
        where, is_list = f"{path}.{field}", get_origin(hint) is tuple
        by_width = isinstance(value, dict) and not set(value) & {"from", "to", "step"}
        if is_list or not isinstance(value, list | dict):
            fixed.append((field, value))
        elif field not in kind.elastic:
            allowed = ", ".join(kind.elastic) or "none"
            raise SpecError(where, f"can't be elastic: other values have other weights. Elastic can be: {allowed}")
        elif by_width:
            opened.append(Open(field, by_width=_by_width(dict(value), widths, where)))
        else:
            values = tuple(_growing(value, where))
            opened += [Open(field, values)] if len(values) > 1 else []
            fixed += [] if len(values) > 1 else [(field, values[0])]
    fields.end()
    return PartSpace(kind, tuple(fixed), tuple(opened))


def _by_width(value: dict[Any, Any], widths: list[Any] | None, path: str) -> tuple[tuple[int, tuple[Any, ...]], ...]:
    if not widths or set(value) != set(widths):
        known = ", ".join(map(str, widths or ["none here"]))
        raise SpecError(path, f"needs the values for each width of the stage: {known}")
    lists = {width: tuple(_growing(value[width], f"{path}.{width}")) for width in widths}
    if len({len(values) for values in lists.values()}) > 1 or len(lists[widths[0]]) < 2:
        raise SpecError(path, "needs equally many values for each width, two at least")
    return tuple(lists.items())


def _choices(value: Any, path: str) -> list[Any]:
    """A list, a single value, or `{from: 4, to: 12, step: 2}`."""
    if isinstance(value, dict):
        fields = _Fields(value, path)
        first, last, step = fields.take("from"), fields.take("to"), fields.take("step", 1)
        fields.end()
        if not all(type(v) is int for v in (first, last, step)) or step < 1 or not first <= last <= first + 1000 * step:
            raise SpecError(path, f"{show(value)}: expected whole numbers, from <= to, and a positive step")
        return list(range(first, last + 1, step))
    values = value if isinstance(value, list) else [value]
    if not values or len(values) > 1000:
        raise SpecError(path, "expected from 1 to 1000 values")
    return values


def _growing(value: Any, path: str, lowest: float = 0.01) -> list[Any]:
    values = _choices(value, path)
    for item in values:
        if isinstance(item, bool) or not isinstance(item, int | float) or item < lowest:
            raise SpecError(path, f"{show(item)} is not a number a list of choices can have")
    if any(second <= first for first, second in itertools.pairwise(values)):
        raise SpecError(path, f"{show(values)} must grow from value to value")
    return values


def _check(space: Space) -> None:
    """Every part fits everywhere it can stand, so that no choice can make a network that isn't one."""
    for index, stage in enumerate(space.stages):
        for kind in stage.kinds:
            _elastic_shared(stage, kind.part, f"stages[{index}]")
        for place in _possible_places(space, index):
            down = stage.downsample
            for options in down.corners(place.width) if down is not None else ():
                _at(f"stages[{index}].downsample", downsample_cost, options, place.width_in, place.width, place.size_in)
            for number, kind in enumerate(stage.kinds):
                for options in kind.part.corners(place.width):
                    _at(f"stages[{index}].blocks[{number}]", block_cost, options, place.width, place.size)
    space.largest(), space.smallest()  # made, they are checked as any spec


def _elastic_shared(stage: StageSpace, part: PartSpace, path: str) -> None:
    for branch in stage.share:
        if not any(name == branch or name.startswith(f"{branch}.") for name in part.kind.axes):
            raise SpecError(f"{path}.share", f"{show(branch)} is not a branch of the kind {part.name}")


def _possible_places(space: Space, index: int) -> list[Place]:
    found = {}
    stem_widths = {stem.width: stem for stem in space.stem.all_options(0)}
    for resolution in space.resolutions:
        size = (resolution, resolution) if isinstance(resolution, int) else resolution
        for width, stem in stem_widths.items():
            frames: list[Stage] = []
            for position, stage in enumerate(space.stages[: index + 1]):
                for_widths = stage.widths or (frames[-1].width if frames else width,)
                down = next(stage.downsample.all_options(for_widths[0])) if stage.downsample else None
                wide = for_widths if position == index else for_widths[:1]
                if position < index:
                    frames.append(Stage(width=wide[0], blocks=(), downsample=down))
            for last in wide:
                down = next(stage.downsample.all_options(last)) if stage.downsample else None
                place = list(places(stem, [*frames, Stage(width=last, blocks=(), downsample=down)], size))[-1]
                found[place.width, place.size] = place
    return list(found.values())


def _at(path: str, check: Any, *arguments: Any) -> None:
    try:
        check(*arguments)
    except SpecError as error:
        raise error.under(path) from None
