"""Which dimensions of the space are elastic when. Without phases, all are from the first step on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from supernet import Space, SpecError, Supernet, sort_channels

from .supernet_config import PhaseConfig


@dataclass(frozen=True)
class Phase:
    start: int
    """The first epoch."""
    space: Space
    """What is sampled from: the members that differ from the largest in elastic dimensions only."""
    sort: bool = False


def phases(space: Space, config: Sequence[PhaseConfig]) -> list[Phase]:
    """At least one, from epoch 0 on: before the first phase of the config, nothing is elastic."""
    if not config:
        return [Phase(0, space)]
    found = [Phase(phase.start, space.restricted(phase.elastic), phase.sort) for phase in config]
    return found if found[0].start == 0 else [Phase(0, space.restricted(())), *found]


def phase_at(found: Sequence[Phase], epoch: int) -> Phase:
    return [phase for phase in found if phase.start <= epoch][-1]


def sort_everything(net: Supernet, averaged: Supernet | None, optimizer: torch.optim.Optimizer) -> None:
    """Channels by importance; the averaged weights and what the optimiser remembers of each weight move along."""
    order = sort_channels(net)
    if averaged is not None:
        order.apply(dict(averaged.named_parameters()))
        averaged.forget_subnets()
    for name, parameter in net.named_parameters():
        for value in optimizer.state.get(parameter, {}).values():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                order.apply({name: value})
            elif isinstance(value, torch.Tensor) and value.numel() > 1:
                raise SpecError("phases", "can't sort: this optimiser remembers sums over channels; take adamw or sgd")
