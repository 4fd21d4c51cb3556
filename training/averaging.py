"""The running average of the weights, which is evaluated and shipped in place of the last ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Averaged:
    """`net` holds the average. Early on it forgets faster, (1 + n) / (10 + n), so as not to remember the start."""

    def __init__(self, net: nn.Module, copy: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        example = next(net.parameters())
        self.net = copy.to(dtype=example.dtype).requires_grad_(False)
        self.net.load_state_dict(net.state_dict())

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Statistics of batch norms are averaged like weights; what counts is copied."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(_all(self.net), _all(net), 1 - decay)
        for ours, theirs in zip(self.net.buffers(), net.buffers(), strict=True):
            if not ours.is_floating_point():
                ours.copy_(theirs)


def _all(net: nn.Module) -> list[Tensor]:
    return [*net.parameters(), *(buffer for buffer in net.buffers() if buffer.is_floating_point())]
