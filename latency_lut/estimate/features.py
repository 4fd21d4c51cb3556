"""The work of a network in a few numbers: its operators added up by kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from torch import nn

from supernet import NetSpec, SpecError
from supernet.options import Size
from supernet.values import first_line

from .deployed import deployed
from .operators import Operator, operators


class Sums(NamedTuple):
    """Of all operators of one kind: their number, and the fields of `Operator`."""

    number: int = 0
    macs: int = 0
    inputs: int = 0
    outputs: int = 0
    weights: int = 0
    padding: int = 0
    idle: int = 0


@dataclass(frozen=True)
class Features:
    """Of one network at one resolution, by kind; a kind with kernels is named with their side, as `depthwise 7`."""

    params: int
    sums: dict[str, Sums]

    def total(self, column: Callable[[Sums], int], kinds: Iterable[str] | None = None) -> int:
        wanted = None if kinds is None else set(kinds)
        return sum(column(sums) for name, sums in self.sums.items() if wanted is None or name.split()[0] in wanted)

    @property
    def macs(self) -> int:
        return self.total(lambda sums: sums.macs)


def features(network: NetSpec | nn.Module, resolution: int | Size | None = None, *, part: str = "forward") -> Features:
    """`network` is brought into the form that a device gets first. `part` is the method that is run."""
    module, image = deployed(network, resolution)
    params = sum(parameter.numel() for parameter in module.parameters())
    try:
        found = operators(module, image, part=part)
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        shape = "x".join(map(str, image))
        raise SpecError("network", f"it can't be run on an image of {shape}: {first_line(error)}") from None
    return Features(params, added_up(found))


def added_up(notes: Iterable[Operator]) -> dict[str, Sums]:
    found: dict[str, Sums] = {}
    for one in notes:
        name = f"{one.kind} {one.window}" if one.window > 1 else one.kind
        row = (1, one.macs, one.inputs, one.outputs, one.weights, one.padding, one.idle)
        found[name] = Sums(*map(sum, zip(found.get(name, Sums()), row, strict=True)))
    return dict(sorted(found.items()))
