"""The running average of the supernet's weights, which is evaluated and shipped in place of the last ones."""

from __future__ import annotations

import torch

from supernet import Supernet


class Averaged:
    """`net` holds the average. Early on it forgets faster, (1 + n) / (10 + n), so as not to remember the start."""

    def __init__(self, net: Supernet, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        example = next(net.parameters())
        self.net = Supernet(net.space, norm_per_width=net.norm_per_width, sync_norm=net.sync_norm)
        self.net.to(device=example.device, dtype=example.dtype).requires_grad_(False)
        self.net.load_state_dict(net.state_dict())

    @torch.no_grad()
    def update(self, net: Supernet) -> None:
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(list(self.net.parameters()), list(net.parameters()), 1 - decay)
