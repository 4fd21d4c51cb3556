"""Spaces in text and as plain data: what may vary where, the ends, and which published networks lie inside."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

from ..counting import count
from ..describing import table
from ..families import FAMILIES
from ..spec import NetSpec
from .choices import Open, PartSpace
from .published import published_members
from .reading import load_space, space_names
from .space import SlotKind, Space, StageSpace

SAMPLES = 1000


def space_listing() -> list[dict[str, Any]]:
    """One row for each space that comes with the project."""
    rows = []
    for name in space_names():
        space = load_space(name)
        rows.append(
            {
                "name": name,
                "family": space.family,
                "resolutions": list(space.resolutions),
                "networks": space.size,
                "genes": len(space.genes),
                "smallest": _cost(space.smallest()),
                "largest": _cost(space.largest()),
                "published": list(published_members(space)),
            }
        )
    order = list(FAMILIES)
    return sorted(rows, key=lambda row: (order.index(row["family"]), row["largest"]["macs"]))


def space_listing_table(rows: Iterable[dict[str, Any]]) -> str:
    cells = [("name", "family", "images", "networks", "params M", "MACs M", "published networks inside")]
    for row in rows:
        low, high = row["smallest"], row["largest"]
        cells.append(
            (
                row["name"],
                row["family"],
                _several(row["resolutions"]),
                f"{row['networks']:.2g}",
                f"{low['params'] / 1e6:.3f} to {high['params'] / 1e6:6.3f}",
                f"{millions(low['macs'])} to {millions(high['macs']):>7}",
                ", ".join(row["published"]) or "-",
            )
        )
    return table(cells, left=(0, 1, 2, 6))


def space_json(name: str, space: Space) -> dict[str, Any]:
    members = {"smallest": space.smallest(), **published_members(space), "largest": space.largest()}
    return {
        "name": name,
        "family": space.family,
        "networks": space.size,
        "genes": len(space.genes),
        "resolutions": list(space.resolutions),
        "in_chans": space.in_chans,
        "num_classes": space.num_classes,
        "distilled": space.distilled,
        "stem": _part_json(space.stem),
        "stages": [_stage_json(stage) for stage in space.stages],
        "head": _part_json(space.head),
        "members": {member: _cost(spec) for member, spec in members.items()},
        "sampled_macs": sampled_macs(space),
    }


def sampled_macs(space: Space) -> dict[str, int]:
    """The MACs that 5, 50 and 95 percent of uniform samples stay below."""
    macs = sorted(uniform_macs(space))
    return {f"{percent}%": macs[len(macs) * percent // 100] for percent in (5, 50, 95)}


def uniform_macs(space: Space) -> list[int]:
    """Of a thousand uniform samples, always the same ones."""
    rng = random.Random(0)
    return [count(space.sample(rng)).macs for _ in range(SAMPLES)]


def space_heading(name: str, space: Space) -> str:
    classes = f"{space.num_classes} classes" if space.num_classes else "no classifier"
    images = f"images of {_several(space.resolutions)} pixels, {space.in_chans} channels, {classes}"
    size = f"{space.size:,}" if space.size < 10**6 else f"{space.size:.2e}"
    return f"{name}: {FAMILIES[space.family].title}\n{images}; {size} networks, {len(space.genes)} genes"


def space_description(name: str, space: Space) -> str:
    cells: list[tuple[str, ...]] = [("", "width", "depth", "kind", "to choose", "fixed", "slots", "blocks")]
    cells.append(("stem", "", "", *_part_cells(space.stem), "", ""))
    for number, stage in enumerate(space.stages, start=1):
        cells += _stage_rows(f"stage {number}", stage)
    cells.append(("head", "", "", *_part_cells(space.head), "", ""))
    members = [("", "params M", "MACs M", "images")]
    named = {"smallest": space.smallest(), **published_members(space), "largest": space.largest()}
    for member, spec in named.items():
        cost = count(spec)
        members.append((member, f"{cost.params / 1e6:.3f}", millions(cost.macs), _several([spec.resolution])))
    quantiles = sampled_macs(space)
    some = ", ".join(f"{percent} below {millions(macs)}" for percent, macs in quantiles.items())
    parts = [space_heading(name, space), table(cells, left=(0, 1, 2, 3, 4, 5, 6, 7)), table(members, left=(0,))]
    return "\n\n".join([*parts, f"MACs M of {SAMPLES:,} uniform samples: {some}"])


def _stage_rows(name: str, stage: StageSpace) -> list[tuple[str, ...]]:
    rows = []
    if stage.downsample is not None:
        kind, elastic, fixed = _part_cells(stage.downsample)
        rows.append((f"downsample: {kind}", elastic, fixed, "", ""))
    for one in stage.kinds:
        rows.append((*_part_cells(one.part), *_rule_cells(one, stage)))
    widths = _several(stage.widths) if stage.widths else "as it comes in"
    rows = rows or [("", "", "", "", "")]
    cells: list[tuple[str, ...]] = [(name, widths, _several(stage.depths), *rows[0])]
    cells += [("", "", "", *row) for row in rows[1:]]
    notes = ["any slot may be empty"] if stage.drop_anywhere else []
    notes += [f"{' and '.join(stage.share)} shared by the kinds of a slot"] if stage.share else []
    notes += ["a position table"] if stage.position_table else []
    return [*cells, *(("", "", "", "", "", note, "", "") for note in notes)]


def _part_cells(part: PartSpace) -> tuple[str, str, str]:
    elastic = ", ".join(f"{field.field} {_choices_in_words(field)}" for field in part.open if field.count > 1)
    fixed = [f"{name} {_plain(value)}" for name, value in part.fixed]
    fixed += [f"{field.field} {_choices_in_words(field)}" for field in part.open if field.count == 1]
    return part.name, elastic, ", ".join(fixed)


def _rule_cells(kind: SlotKind, stage: StageSpace) -> tuple[str, str]:
    """Empty where nothing is limited."""
    slots, (fewest, most) = kind.rule.slots, kind.rule.blocks
    num_slots = max(stage.depths)
    where = "" if len(slots) == num_slots else _several(slots)
    return where, "" if (fewest, most) == (0, num_slots) else _several(range(fewest, most + 1))


def _choices_in_words(field: Open) -> str:
    if field.by_width:
        return f"by width ({field.count})" if field.count > 1 else "by width"
    return " ".join(f"{value:g}" for value in field.values)


def _plain(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return " ".join(map(_plain, value)) if isinstance(value, tuple) else str(value)


def _several(values: Sequence[Any]) -> str:
    """`1 to 5` for three or more in a row, else `160, 192, 224`; sizes as height x width."""
    if len(values) > 2 and list(values) == list(range(values[0], values[0] + len(values))):
        return f"{values[0]} to {values[-1]}"
    return ", ".join("x".join(map(str, value)) if isinstance(value, tuple) else str(value) for value in values)


def _part_json(part: PartSpace) -> dict[str, Any]:
    elastic = {field.field: dict(field.by_width) if field.by_width else list(field.values) for field in part.open}
    return {"kind": part.name, "elastic": elastic, "fixed": dict(part.fixed)}


def _stage_json(stage: StageSpace) -> dict[str, Any]:
    return {
        "widths": list(stage.widths),
        "depths": list(stage.depths),
        "drop": "any" if stage.drop_anywhere else "last",
        "share": list(stage.share),
        "position_table": stage.position_table,
        "downsample": None if stage.downsample is None else _part_json(stage.downsample),
        "blocks": [
            _part_json(kind.part) | {"slots": list(kind.rule.slots), "count": list(kind.rule.blocks)}
            for kind in stage.kinds
        ],
    }


def millions(macs: float) -> str:
    """To three digits at least."""
    return f"{macs / 1e6:,.0f}" if macs >= 1e8 else f"{macs / 1e6:.3g}"


def _cost(spec: NetSpec) -> dict[str, int]:
    counted = count(spec)
    return {"params": counted.params, "macs": counted.macs}
