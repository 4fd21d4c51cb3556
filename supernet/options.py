"""What all parts of a spec share: frozen options with limits, the cost of a part, the one kind of error a user sees.

An options struct is a value: equal options are equal objects, usable as dictionary keys. Its fields carry their limits
as annotations, and every value is checked against type and limits when a struct is made, so that Python code and YAML
files obey one rule and a manual can be generated from the types.
"""

from __future__ import annotations

import difflib
import functools
import math
import numbers
import operator
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec
import numpy as np

Size = tuple[int, int]
"""Height and width of a feature map."""


class SpecError(ValueError):
    """What a user wrote can't be: `path` says where, the message says the value and what would be right."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message

    def __reduce__(self) -> tuple[type[SpecError], tuple[str, str]]:
        return SpecError, (self.path, self.message)  # errors travel between processes

    def under(self, prefix: str) -> SpecError:
        """The same error, seen from the struct that holds the one it was found in."""
        joint = "" if not self.path or self.path.startswith("[") else "."
        return SpecError(f"{prefix}{joint}{self.path}", self.message)


@dataclass(frozen=True)
class Limit:
    """Lowest and highest value of a number; both are allowed."""

    low: float
    high: float
    odd: bool = False

    def __str__(self) -> str:
        kind = "an odd number" if self.odd else "a number"
        return f"{kind} from {self.low:,g} to {self.high:,.12g}"

    def allows(self, value: float) -> bool:
        return self.low <= value <= self.high and not (self.odd and value % 2 == 0)


@dataclass(frozen=True)
class Choice:
    """The allowed strings."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return "one of " + ", ".join(self.names)

    def allows(self, value: str) -> bool:
        return value in self.names


# Highest values are far above any network of this kind: they keep a typing error from asking for terabytes.
Kernel = Annotated[int, Limit(1, 31, odd=True)]
Width = Annotated[int, Limit(1, 8192)]
Expand = Annotated[float, Limit(0.05, 16)]
Heads = Annotated[int, Limit(1, 128)]
HeadWidth = Annotated[int, Limit(1, 1024)]
Stride = Annotated[int, Limit(1, 2)]
LayerScale = Annotated[float, Limit(0, 1)] | None


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of everything in a spec. A subclass that stands in a list of alternatives has a tag, its `kind`."""

    def __post_init__(self) -> None:
        for name, hint, is_fine in _checks(type(self)):
            value = getattr(self, name)
            if not is_fine(value):
                msgspec.structs.force_setattr(self, name, conform(hint, value, name))  # one value, one form


class Kind(Options, tag_field="kind", frozen=True):
    """Base of the tagged alternatives: stems, downsamples, blocks, heads."""

    @classmethod
    def kind_name(cls) -> str:
        tag = cls.__struct_config__.tag
        assert isinstance(tag, str), f"{cls.__name__} has no tag"
        return tag


@functools.cache
def field_hints(cls: type[Options]) -> tuple[tuple[str, Any], ...]:
    """The fields of an options struct and their types."""
    hints = get_type_hints(cls, include_extras=True)
    return tuple((name, hints[name]) for name in cls.__struct_fields__)


@functools.cache
def _checks(cls: type[Options]) -> tuple[tuple[str, Any, Callable[[Any], bool]], ...]:
    return tuple((name, hint, _quick_check(hint)) for name, hint in field_hints(cls))


def _quick_check(hint: Any) -> Callable[[Any], bool]:
    """Whether a value already has the form of its type: a search makes specs by the thousand, almost all fine."""
    parts = get_args(hint)
    if get_origin(hint) is Annotated:
        inner, allows = _quick_check(parts[0]), parts[1].allows
        return lambda value: inner(value) and allows(value)
    if get_origin(hint) in (Union, types.UnionType):
        checks = [_quick_check(part) for part in parts]
        return lambda value: any(check(value) for check in checks)
    if get_origin(hint) is tuple and parts[-1] is Ellipsis:
        item = _quick_check(parts[0])
        return lambda value: type(value) is tuple and all(map(item, value))
    if get_origin(hint) is tuple:
        items = [_quick_check(part) for part in parts]
        return lambda value: (
            type(value) is tuple and len(value) == len(items) and all(f(v) for f, v in zip(items, value, strict=True))
        )
    if hint in (int, float, str, bool, types.NoneType):
        return lambda value: type(value) is hint and value == value
    return lambda value: isinstance(value, hint)


_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", types.NoneType: "nothing"}


def conform(hint: Any, value: Any, path: str) -> Any:
    """The value in the one form its type has (numpy's numbers and lists are welcome), or a SpecError."""
    if get_origin(hint) is Annotated:
        inner, *rules = get_args(hint)
        conformed = conform(inner, value, path)
        for rule in rules:
            if not rule.allows(conformed):
                raise SpecError(path, f"{show(value)} is not {rule}")
        return conformed
    parts = get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        if value is None and types.NoneType in parts:
            return None
        wants_tuple = isinstance(value, tuple | list)
        fitting = [p for p in parts if p is not types.NoneType and (get_origin(p) is tuple) == wants_tuple]
        if len(fitting) == 1 and (wants_tuple or isinstance(value, _plain(fitting[0]))):
            return conform(fitting[0], value, path)
    elif get_origin(hint) is tuple and isinstance(value, tuple | list):
        item_hints = [parts[0]] * len(value) if parts[-1] is Ellipsis else list(parts)
        if len(item_hints) == len(value):
            items = tuple(conform(h, v, f"{path}[{i}]") for i, (h, v) in enumerate(zip(item_hints, value, strict=True)))
            same = isinstance(value, tuple) and all(map(operator.is_, items, value))
            return value if same else items
    elif hint is int and isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    elif hint is float and isinstance(value, numbers.Real) and not isinstance(value, bool) and _is_finite(value):
        return float(value)
    elif hint is str and isinstance(value, str):
        return str.__str__(value)
    elif isinstance(hint, type) and isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    elif hint is bool and isinstance(value, np.bool_):
        return bool(value)
    raise SpecError(path, f"{show(value)} can't stand here: expected {_in_words(hint)}")


def _is_finite(value: numbers.Real) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def _plain(hint: Any) -> Any:
    """What Python types stand for a type in a union."""
    inner = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return {int: numbers.Real, float: numbers.Real}.get(inner, inner)


def _in_words(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        return _in_words(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(map(_in_words, get_args(hint)))
    if get_origin(hint) is tuple:
        parts = get_args(hint)
        return "a list" if parts[-1] is Ellipsis else f"a list of {len(parts)}"
    return _WORDS.get(hint, f"a {hint.__name__}, which has fields" if isinstance(hint, type) else str(hint))


def show(value: object) -> str:
    """A value in an error: short, on one line, and printable whatever it is."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**30:
        return f"a number of {value.bit_length()} bits"
    text = repr(value).encode("utf-8", "backslashreplace").decode("utf-8").replace("\n", " ")
    return text if len(text) <= 60 else text[:57] + "..."


def printable(text: str) -> str:
    """A name from a user or a file, on one line whatever it is."""
    return text if text.isprintable() and len(text) <= 300 else show(text)


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """The end of an error about an unknown name: the nearest known one, or all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(str(name)[:100], names, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else "known are " + ", ".join(names)


class Cost(NamedTuple):
    """Trainable parameters and multiply-accumulates of a part of a network, for one image."""

    params: int = 0
    macs: int = 0

    def __add__(self, other: object) -> Cost:
        assert isinstance(other, Cost)
        return Cost(self.params + other.params, self.macs + other.macs)


def total(costs: Iterable[Cost]) -> Cost:
    params = macs = 0
    for cost in costs:
        params += cost.params
        macs += cost.macs
    return Cost(params, macs)


def strided(size: Size, stride: int) -> Size:
    """The feature map after a convolution with odd kernel, half-kernel padding and this stride."""
    return -(-size[0] // stride), -(-size[1] // stride)


def area(size: Size) -> int:
    return size[0] * size[1]


def hidden_width(width: int, expand: float) -> int:
    """Channels inside a block that widens by `expand`: rounded half up, so that 2.5 x 3 is 8 on every platform."""
    return max(1, math.floor(width * expand + 0.5))
