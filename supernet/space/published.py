"""The published networks inside a space."""

from __future__ import annotations

import functools

from ..counting import count
from ..reading import load_spec, published_names
from ..spec import NetSpec
from ..values import SpecError
from .space import Space


@functools.cache
def _published() -> dict[str, NetSpec]:
    return {name: load_spec(name) for name in published_names()}


def published_members(space: Space) -> dict[str, NetSpec]:
    """The published networks that lie in the space, made for its classes and channels, from small to large."""
    found = {}
    for name, spec in _published().items():
        if spec.family != space.family:
            continue
        try:
            member = spec.with_(num_classes=space.num_classes, in_chans=space.in_chans)
        except SpecError:  # such as too many parameters with so many classes: then it is no network, and no member
            continue
        if member in space:
            found[name] = member
    return dict(sorted(found.items(), key=lambda item: count(item[1]).macs))
