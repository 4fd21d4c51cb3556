"""One part of a space file: a kind of stem, downsample, block or head, some of whose fields have several values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_origin

from ..options import Kind, field_hints
from ..values import SpecError, conform, did_you_mean, show
from .choices import MAX_OPTIONS, Open, PartSpace, cheap_first
from .fields import Fields, growing


def read_part(data: Any, kinds: Mapping[str, type[Kind]], path: str, widths: tuple[int, ...] = ()) -> PartSpace:
    """`widths` are those a value may depend on."""
    fields = Fields(data, path)
    name = fields.take("kind")
    if not isinstance(name, str) or name not in kinds:
        raise SpecError(f"{path}.kind", f"{show(name)} is unknown, {did_you_mean(name, kinds)}")
    kind, fixed, opened = kinds[name], [], []
    for field, hint in field_hints(kind):
        if field not in fields.left:
            fields.known.add(field)
            continue
        value, where = fields.take(field), f"{path}.{field}"
        if get_origin(hint) is tuple and not isinstance(value, list):
            raise SpecError(where, f"{show(value)} can't stand here: expected a list")
        if get_origin(hint) is tuple or not isinstance(value, list | dict):
            fixed.append((field, conform(hint, value, where)))
            continue
        if field not in kind.elastic:
            allowed = ", ".join(kind.elastic) or "none"
            raise SpecError(where, f"can't be elastic: other values have other weights. Elastic can be: {allowed}")
        found = _read_open(field, hint, value, widths, where)
        if len(found.values) == 1:
            fixed.append((field, found.values[0]))
        else:
            opened.append(found)
    fields.end()
    part = PartSpace(kind, tuple(fixed), tuple(opened))
    for missing in part.missing():
        raise SpecError(path, f"the field {missing!r} is missing")
    if part.count > MAX_OPTIONS:
        raise SpecError(path, f"its open fields have {part.count:,} combinations, more than {MAX_OPTIONS:,}")
    return part


def _read_open(field: str, hint: Any, value: Any, widths: tuple[int, ...], path: str) -> Open:
    if isinstance(value, list) or set(value) & {"from", "to", "step"}:
        return Open(field, cheap_first(field, growing(value, path, hint)))
    if not value or set(value) != set(widths):
        known = ", ".join(map(str, widths)) or "none, as this part has no width to choose from"
        raise SpecError(path, f"{show(list(value))} are not the widths of the stage: {known}")
    lists = {width: cheap_first(field, growing(value[width], f"{path}.{width}", hint)) for width in widths}
    if len({len(values) for values in lists.values()}) > 1:
        numbers = ", ".join(f"{len(values)} for {width}" for width, values in lists.items())
        raise SpecError(path, f"needs equally many values for each width, not {numbers}")
    return Open(field, by_width=tuple(lists.items()))
