"""What a space file is made of: fields, each of which must be known, and lists of the values to choose from."""

from __future__ import annotations

import itertools
from typing import Annotated, Any

from ..strict_reading import join
from ..values import Limit, SpecError, conform, did_you_mean, show

MAX_VALUES = 256


class Fields:
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
            raise SpecError(join(self.path, name), f"there is no such field, {did_you_mean(name, self.known)}")


def choices(value: Any, path: str) -> list[Any]:
    """A list, a single value, or `{from: 4, to: 12, step: 2}`."""
    if isinstance(value, dict):
        fields = Fields(value, path)
        first, last, step = fields.take("from"), fields.take("to"), fields.take("step", 1)
        fields.end()
        if not all(type(v) is int for v in (first, last, step)) or step < 1 or first > last:
            raise SpecError(path, f"{show(value)}: expected whole numbers, from <= to, and a positive step")
        if (last - first) // step >= MAX_VALUES:
            raise SpecError(path, f"{show(value)} are more than {MAX_VALUES} values")
        return list(range(first, last + 1, step))
    values = value if isinstance(value, list) else [value]
    if not 1 <= len(values) <= MAX_VALUES:
        raise SpecError(path, f"{len(values)} values are not from 1 to {MAX_VALUES}")
    return values


def growing(value: Any, path: str, hint: Any) -> tuple[Any, ...]:
    """Choices of the type a field has, from small to large."""
    values = tuple(conform(hint, item, path) for item in choices(value, path))
    for item in values:
        if isinstance(item, bool) or not isinstance(item, int | float):
            raise SpecError(path, f"{show(item)} is not a number, and only numbers can be chosen from")
    if any(second <= first for first, second in itertools.pairwise(values)):
        raise SpecError(path, f"{show(value)} must grow from value to value")
    return values


def whole_numbers(lowest: int, highest: int) -> Any:
    """The type of a field with such numbers."""
    return Annotated[int, Limit(lowest, highest)]
