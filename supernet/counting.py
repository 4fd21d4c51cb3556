"""Parameters and multiply-accumulates of a spec by arithmetic: no module is built.

MACs are those of convolutions, transposed convolutions, linear layers and both matrix products of attention, for one
image. Norms, activations, pooling, interpolation, softmax and additions are not counted; PyTorch's flop counter draws
the same line. Published figures may draw another: docs/networks.md.
"""

from __future__ import annotations

from typing import NamedTuple

from .costs import Part
from .spec import NetSpec


class Count(NamedTuple):
    params: int
    macs: int
    parts: tuple[Part, ...]


def count(spec: NetSpec) -> Count:
    parts = spec.parts()
    return Count(sum(part.cost.params for part in parts), sum(part.cost.macs for part in parts), tuple(parts))
