"""Batch norm over all processes, on any device: PyTorch's own runs on CUDA only, and is taken there."""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn import functional as together


class SyncedNorm(nn.modules.batchnorm._BatchNorm):
    """In training, mean and variance are those of the images of all processes."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"batch norm needs channels in dimension 1, this input has {input.dim()} dimensions")

    def forward(self, input: Tensor) -> Tensor:
        if not (self.training and distributed.is_initialized() and distributed.get_world_size() > 1):
            return super().forward(input)
        self._check_input_dim(input)
        over = [dim for dim in range(input.dim()) if dim != 1]
        count = input.new_full((1,), input.numel() / input.shape[1])
        sums = torch.cat([input.sum(over), input.square().sum(over), count])
        sums = together.all_reduce(sums)
        width, total = self.num_features, sums[-1]
        mean = sums[:width] / total
        variance = (sums[width:-1] / total - mean.square()).clamp_min(0)
        self._remember(mean.detach(), variance.detach(), float(total))
        shape = [1, -1] + [1] * (input.dim() - 2)
        scale = torch.rsqrt(variance + self.eps)
        if self.affine:
            scale = scale * self.weight
            return input * scale.view(shape) + (self.bias - mean * scale).view(shape)
        return (input - mean.view(shape)) * scale.view(shape)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: float) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance * (count / max(count - 1, 1)), share)


def synced(module: nn.Module, device: torch.device) -> nn.Module:
    """The module with its batch norms exchanged; parameters keep names and shapes."""
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        kind = nn.SyncBatchNorm if device.type == "cuda" else SyncedNorm
        return kind(module.num_features, module.eps, module.momentum, module.affine, device="meta")
    for name, child in module.named_children():
        setattr(module, name, synced(child, device))
    return module
