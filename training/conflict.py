"""What to do with gradients that point against each other: the conflicting component is taken away, tensor by tensor.

Convolution-heavy and attention-heavy subnets, or the largest and the others, want different things of the weights they
share; NASViT found this to be why naive hybrid supernets are worse than networks trained alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from supernet import NetSpec

_NOISE = 1e-8
"""Of two squared gradients: the direction of one that is nothing but rounding is no direction to yield to."""


def attention_share(spec: NetSpec) -> float:
    """The part of the blocks' MACs that blocks with attention have."""
    attending = total = 0
    macs = {part.path: part.cost.macs for part in spec.parts()}
    for index, stage in enumerate(spec.stages):
        for position, block in enumerate(stage.blocks):
            cost = macs[f"stages[{index}].blocks[{position}]"]
            total += cost
            attending += cost if block.attends else 0
    return attending / total if total else 0.0


def two_groups(specs: Sequence[NetSpec], mode: str) -> list[bool]:
    """For each spec, whether it belongs to the first group: the largest (which comes first), or those with more
    attention than the middle between the extremes. One group may be empty."""
    if mode == "largest":
        return [index == 0 for index in range(len(specs))]
    shares = [attention_share(spec) for spec in specs]
    return [share > (min(shares) + max(shares)) / 2 for share in shares]


def without_conflict(first: Sequence[Tensor], second: Sequence[Tensor], mutual: bool) -> list[Tensor]:
    """The sum of two gradients, given tensor by tensor.

    Where their product is negative, the first loses its component along the second; if `mutual`, the second also loses
    its component along the first (PCGrad). All on the device, without waiting for it.
    """
    dots = torch.stack([(a * b).sum() for a, b in zip(first, second, strict=True)])
    squares = _squares(first), _squares(second)
    ratio = squares[0] / squares[1]
    alike = (ratio > _NOISE) & (ratio < 1 / _NOISE)
    against = torch.where(alike, dots.clamp_max(0), 0)
    along_second = against / squares[1]
    along_first = against / squares[0] if mutual else torch.zeros_like(against)
    # a - (a.b / b.b) b + b - (a.b / a.a) a
    return [
        a * (1 - one) + b * (1 - other)
        for a, b, one, other in zip(first, second, along_first.unbind(), along_second.unbind(), strict=True)
    ]


def _squares(tensors: Sequence[Tensor]) -> Tensor:
    squares = torch.stack([tensor.square().sum() for tensor in tensors])
    return squares.clamp_min(torch.finfo(squares.dtype).tiny)
