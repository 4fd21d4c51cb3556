"""The published networks, read once: those of a family, and the one that is nearest to another."""

from __future__ import annotations

import functools
import math

from supernet import NetSpec, count, load_spec, published_names


@functools.cache
def published_specs() -> dict[str, NetSpec]:
    return {name: load_spec(name) for name in published_names()}


def of_family(spec: NetSpec) -> dict[str, NetSpec]:
    return {name: one for name, one in published_specs().items() if one.family == spec.family}


def nearest(spec: NetSpec) -> str | None:
    """Of its family, by parameters without the classifier, which depends on the classes."""
    sizes = {name: _size(one) for name, one in of_family(spec).items()}
    return min(sizes, key=lambda name: abs(math.log(sizes[name] / _size(spec))), default=None)


def _size(spec: NetSpec) -> int:
    return max(1, count(spec.with_(num_classes=0)).params)
