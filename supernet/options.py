"""What all parts of a spec share: frozen options whose fields carry their limits, and what a part costs.

An options struct is a value: equal options are equal objects, usable as dictionary keys. Every field is checked against
type and limits when a struct is made, so that Python code and YAML files obey one rule and a manual can be generated
from the types.
"""

from __future__ import annotations

import functools
import math
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, ClassVar, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

from .values import Limit, conform

Size = tuple[int, int]
"""Height and width of a feature map."""

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

    elastic: ClassVar[tuple[str, ...]] = ()
    """The fields that may differ between networks which share weights. What the others change is no slice."""
    dimensions: ClassVar[Mapping[str, str]] = {}
    """Of elastic fields that space/choices.py doesn't know: which of its DIMENSIONS they belong to."""
    axes: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """For each submodule with parameters, what its outputs and inputs are: see elastic/axes.py."""

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
