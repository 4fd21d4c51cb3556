"""A space as YAML, which `parse_space` reads back: a run keeps the space it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..plain_yaml import write_yaml
from ..whole_files import write_whole
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
    write_whole(path, format_space(space))


def _stage(stage: StageSpace) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if stage.downsample is not None:
        fields |= {"width": _one_or_list(list(stage.widths)), "downsample": _part(stage.downsample)}
    fields["depth"] = _one_or_range(stage.depths)
    fields |= {"drop": "any"} if stage.drop_anywhere else {}
    fields |= {"share": list(stage.share)} if stage.share else {}
    fields |= {"position_table": True} if stage.position_table else {}
    fields |= {"blocks": [_kind(kind, max(stage.depths)) for kind in stage.kinds]} if stage.kinds else {}
    return fields


def _kind(kind: SlotKind, num_slots: int) -> dict[str, Any]:
    """Limits that limit nothing are left out."""
    fields = _part(kind.part)
    fewest, most = kind.rule.blocks
    if kind.rule.slots != tuple(range(num_slots)):
        fields["slots"] = _one_or_range(kind.rule.slots)
    if (fewest, most) != (0, num_slots):
        fields["count"] = _one_or_range(range(fewest, most + 1))
    return fields


def _part(part: PartSpace) -> dict[str, Any]:
    fields = {name: list(value) if isinstance(value, tuple) else value for name, value in part.fixed}
    fields |= {field.field: _values(field) for field in part.open}
    in_order = {name: fields[name] for name in part.kind.__struct_fields__ if name in fields}
    return {"kind": part.name} | in_order


def _values(field: Open) -> Any:
    """From small to large, as files have them."""
    if field.by_width:
        return {width: _one_or_list(sorted(values)) for width, values in field.by_width}
    return sorted(field.values)


def _one_or_list(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 and not isinstance(values[0], list) else values


def _one_or_range(values: Sequence[int]) -> Any:
    """Three or more in a row as `{from: 4, to: 12}`."""
    if len(values) > 2 and list(values) == list(range(values[0], values[-1] + 1)):
        return {"from": values[0], "to": values[-1]}
    return _one_or_list(list(values))
