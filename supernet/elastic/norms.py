"""Batch norm over all processes, on any device; PyTorch's own runs on CUDA only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn


class _Sum(torch.autograd.Function):
    """Over processes; so is the gradient, as each process's loss depends on the sum."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


class SyncedNorm(nn.modules.batchnorm._BatchNorm):
    """In training, mean and variance are those of the images of all processes.

    All processes must then run the same network on as many batches.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"batch norm needs channels in dimension 1, this input has {input.dim()} dimensions")

    def forward(self, input: Tensor) -> Tensor:
        if not (self.training and distributed.is_initialized() and distributed.get_world_size() > 1):
            return super().forward(input)
        self._check_input_dim(input)
        assert self.weight is not None
        over = [dim for dim in range(input.dim()) if dim != 1]
        x = input.to(self.weight.dtype)
        count = x.new_full((1,), x.numel() / x.shape[1])
        shape = [1, -1] + [1] * (x.dim() - 2)
        sums: Tensor = _Sum.apply(torch.cat([x.sum(over), count]))
        mean, total = sums[:-1] / sums[-1], sums[-1].detach()
        centred = x - mean.view(shape)  # squares of what is far from zero would not leave enough digits
        squares: Tensor = _Sum.apply(centred.square().sum(over))
        variance = squares / total
        self._remember(mean.detach(), variance.detach(), total)
        scale = torch.rsqrt(variance + self.eps) * self.weight
        return (centred * scale.view(shape) + self.bias.view(shape)).to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance * (count / (count - 1).clamp_min(1)), share)


def synced(module: nn.Module) -> nn.Module:
    """The module with its batch norms exchanged; parameters keep names and shapes."""
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return SyncedNorm(module.num_features, module.eps, module.momentum, device="meta")
    for name, child in module.named_children():
        setattr(module, name, synced(child))
    return module


def synced_copy(net: nn.Module) -> None:
    """The batch norms of a plain network exchanged in place; weights and statistics stay the same tensors."""
    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.modules.batchnorm._BatchNorm):
                norm = SyncedNorm(child.num_features, child.eps, child.momentum, device="meta")
                norm._parameters, norm._buffers = child._parameters, child._buffers
                setattr(module, name, norm)
