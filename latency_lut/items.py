"""What is measured: chains of copies of one unit, and whole networks.

The time of one copy is the slope over the number of copies: what every run costs whatever it computes (dispatch, input
and output, changes of layout at the border) cancels. Copies have weights of their own, as blocks of a network have, so
that no cache holds them from one copy to the next. Units that change the map's shape can't be chained: their copies
read the same map side by side, and the means of what they give are added.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from deploy import fuse_part
from supernet import NetSpec, build, format_spec, fuse, parse_spec

from .units import Unit, read_key

CHAIN, NETWORK = "chain", "network"


@dataclass(frozen=True)
class Item:
    """`text` is a unit's key, or a network's YAML; `copies` is 0 for a network."""

    text: str
    copies: int = 0

    @property
    def role(self) -> str:
        return CHAIN if self.copies else NETWORK

    @functools.cached_property
    def id(self) -> str:
        return hashlib.sha256(f"{self.copies} {self.text}".encode()).hexdigest()[:20]

    @functools.cached_property
    def unit(self) -> Unit:
        assert self.copies
        return read_key(self.text)

    @functools.cached_property
    def spec(self) -> NetSpec:
        assert not self.copies
        return parse_spec(self.text)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the input, for one image."""
        return self.unit.shape_in if self.copies else (self.spec.in_chans, *self.spec.size)

    def module(self) -> nn.Module:
        """In the form that is shipped; its weights follow from the item alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(self.id[:12], 16))
            if not self.copies:
                return fuse(build(self.spec))
            copies = [fuse_part(self.unit.module()) for _ in range(self.copies)]
        return nn.Sequential(*copies).eval() if self.unit.keeps_shape else SideBySide(copies).eval()

    def __str__(self) -> str:
        return f"{self.copies} x {self.unit}" if self.copies else f"network {self.id[:8]}"


class SideBySide(nn.Module):
    def __init__(self, copies: list[nn.Module]) -> None:
        super().__init__()
        self.copies = nn.ModuleList(copies)

    def forward(self, x: Tensor) -> Tensor:
        outputs = [copy(x) for copy in self.copies]
        if outputs[0].dim() == 4:
            outputs = [output.mean((2, 3)) for output in outputs]
        total = outputs[0]
        for output in outputs[1:]:
            total = total + output
        return total


def chain(unit: Unit, copies: int) -> Item:
    return Item(unit.key, copies)


def network(spec: NetSpec) -> Item:
    return Item(format_spec(spec))
