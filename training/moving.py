"""From gradients to the next weights: one buffer for all gradients, clipping, and what fp16 needs."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from timm.utils import dispatch_clip_grad
from torch import Tensor, nn

from .config import OptimizerConfig
from .precision import Precision
from .processes import Processes

SMALLEST_SCALE = 2.0**-14
"""Of losses in fp16: where even this overflows, no step will ever be made."""


class FlatGradients:
    """The gradients of a network are slices of `whole`: cleared and exchanged between processes as one."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        parameters = [parameter for parameter in parameters if parameter.requires_grad]
        sizes = [parameter.numel() for parameter in parameters]
        self.whole = torch.zeros(sum(sizes), dtype=parameters[0].dtype, device=parameters[0].device)
        for parameter, part in zip(parameters, self.whole.split(sizes), strict=True):
            parameter.grad = part.as_strided(parameter.shape, parameter.stride(), part.storage_offset())

    def clear(self) -> None:
        self.whole.zero_()

    def average(self, us: Processes) -> None:
        """Over all processes."""
        us.sum_(self.whole)
        if us.world > 1:
            self.whole /= us.world


class Mover:
    """The optimiser with clipping before it and the scale of losses in fp16."""

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        optimizer: torch.optim.Optimizer,
        config: OptimizerConfig,
        precision: Precision,
    ) -> None:
        self.parameters, self.optimizer, self.config = list(parameters), optimizer, config
        self.scaler = precision.scaler()

    def move(self, gradients: Tensor) -> Tensor:
        """Whether the gradient was finite. In fp16 steps whose gradient overflowed are skipped, and the scale shrinks:
        then whether there is any hope."""
        finite = torch.isfinite(gradients.sum())
        if self.config.clip is not None:
            self.scaler.unscale_(self.optimizer)
            dispatch_clip_grad(self.parameters, self.config.clip, mode=self.config.clip_mode)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.scaler.is_enabled():
            finite = torch.tensor(self.scaler.get_scale() > SMALLEST_SCALE)
        return finite
