"""Compiled forms of the members that every step runs. Others change from step to step: compiling them never pays."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from supernet import NetSpec, Subnet, Supernet

from .step import SAMPLED, Runner
from .subject import Member


def make_runner(net: Supernet, compiles: bool) -> Runner | None:
    if not compiles:
        return None
    known: dict[NetSpec, tuple[Subnet, Any]] = {}

    def run(member: Member) -> nn.Module:
        subnet = net.subnet(member.spec)
        if member.role == SAMPLED:
            return subnet
        if known.get(member.spec, (None,))[0] is not subnet:  # new, or made anew after the channels were sorted
            known[member.spec] = (subnet, torch.compile(subnet))
        module: nn.Module = known[member.spec][1]
        return module

    return run
