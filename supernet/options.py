"""What all parts of a spec share: frozen options with limits, the cost of a part, the one kind of error a user sees.

An options struct is a value: equal options are equal objects, usable as dictionary keys. Its fields carry their limits
as annotations, so that Python code and YAML files are checked by the same rule and a manual can be generated from them.
"""

from __future__ import annotations

import difflib
import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

Size = tuple[int, int]
"""Height and width of a feature map."""


class SpecError(ValueError):
    """What a user wrote can't be: `path` says where, the message says the value and what would be right."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message

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
        return f"{kind} from {self.low:g} to {self.high:g}"

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


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Base of everything in a spec. A subclass that stands in a list of alternatives has a tag, its `kind`."""

    def __post_init__(self) -> None:
        for name, rules in _limits(type(self)):
            value = getattr(self, name)
            for item in value if isinstance(value, tuple) else (value,):
                for rule in rules:
                    if item is not None and not rule.allows(item):
                        raise SpecError(name, f"{item!r} is not {rule}")


class Kind(Options, tag_field="kind", frozen=True):
    """Base of the tagged alternatives: stems, downsamples, blocks, heads."""

    @classmethod
    def kind_name(cls) -> str:
        tag = cls.__struct_config__.tag
        assert isinstance(tag, str), f"{cls.__name__} has no tag"
        return tag


@functools.cache
def _limits(cls: type[Options]) -> tuple[tuple[str, tuple[Limit | Choice, ...]], ...]:
    hints = get_type_hints(cls, include_extras=True)
    found = ((name, tuple(_rules(hints[name]))) for name in cls.__struct_fields__)
    return tuple((name, rules) for name, rules in found if rules)


def _rules(hint: Any) -> Iterable[Limit | Choice]:
    if get_origin(hint) is Annotated:
        yield from (extra for extra in hint.__metadata__ if isinstance(extra, Limit | Choice))
    else:
        for part in get_args(hint):
            yield from _rules(part)


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """The end of an error about an unknown name: the nearest known one, or all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
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
