"""A space as YAML, which `parse_space` reads back: a run keeps the space it was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..plain_yaml import write_yaml
from .choices import Open, PartSpace
from .space import SlotKind, Space, StageSpace


def format_space(space: Space) -> str:
    fields: dict[str, Any] = {
        "family": space.family,
        "resolution": _one_or_list([list(r) if isinstance(r, tuple) else r for r in space.resolutions]),
        "stem": _part(space.stem),
        "stages": [_stage(stage) for stage in space.stages],
        "head": _part(space.head),
        "in_chans": space.in_chans,
        "num_classes": space.num_classes,
        "distilled": space.distilled,
    }
    return write_yaml(fields)


def save_space(space: Space, path: str | Path) -> None:
    """Written beside and renamed, so that a reader never sees half a file."""
    path = Path(path)
    beside = path.with_name(path.name + ".tmp")
    beside.write_text(format_space(space), encoding="utf-8")
    beside.replace(path)


def _stage(stage: StageSpace) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if stage.downsample is not None:
        fields |= {"width": _one_or_list(list(stage.widths)), "downsample": _part(stage.downsample)}
    fields["depth"] = _one_or_list(list(stage.depths))
    fields |= {"drop": "any"} if stage.drop_anywhere else {}
    fields |= {"share": list(stage.share)} if stage.share else {}
    fields |= {"position_table": True} if stage.position_table else {}
    fields |= {"blocks": [_kind(kind) for kind in stage.kinds]} if stage.kinds else {}
    return fields


def _kind(kind: SlotKind) -> dict[str, Any]:
    slots = kind.rule.slots
    if slots != tuple(range(slots[0], slots[-1] + 1)):
        raise ValueError(f"slots {slots} are no range, which is what a space file can say")
    return _part(kind.part) | {"slots": [slots[0], slots[-1]], "count": list(kind.rule.blocks)}


def _part(part: PartSpace) -> dict[str, Any]:
    fields = {name: list(value) if isinstance(value, tuple) else value for name, value in part.fixed}
    return {"kind": part.name} | fields | {field.field: _values(field) for field in part.open}


def _values(field: Open) -> Any:
    return {width: list(values) for width, values in field.by_width} if field.by_width else list(field.values)


def _one_or_list(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 and not isinstance(values[0], list) else values
