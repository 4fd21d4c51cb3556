"""Batch-norm statistics of a subnet: its own, from training images, before anything is evaluated."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from supernet.values import SpecError

from .precision import Precision
from .processes import Processes

FAR = 100.0
"""How many variances a channel's squared mean may be, for the variance to be taken from sums of squares."""


def batch_norms(net: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    return [module for module in net.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]


@torch.no_grad()
def calibrate(
    net: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    precision: Precision | None = None,
    us: Processes | None = None,
) -> None:
    """Sets the running mean and variance to the average over these batches, of all processes, each image weighing the
    same. Leaves `net` in evaluation mode. Without batch norms there is nothing to do, and no batch is asked for."""
    precision, us = precision or Precision(), us or Processes()
    norms = batch_norms(net)
    net.eval()
    if not norms:
        return
    with _observed(norms) as observers:
        seen = 0
        for images, _ in batches:
            if len(images) > 1:  # of a single image, the head's norm has no variance
                seen += len(images)
                for observer in observers:
                    observer.share = len(images) / seen
                with precision.autocast():
                    net(precision.place(images))
    if us.totals([seen])[0] == 0:
        raise SpecError(
            "evaluate.calibration_images",
            "batch norms need 2 images in a batch; data.eval_batch_size is a batch's size",
        )
    if us.world > 1:
        _average(norms, seen, us)


class _Observer:
    """Called before a batch norm in evaluation mode: the norm is given the statistics of its input, as in training, and
    their average over the batches is kept.

    PyTorch's batch norm in training mode does the same on a CPU in eight times the time.
    """

    def __init__(self, norm: nn.modules.batchnorm._BatchNorm) -> None:
        norm.reset_running_stats()
        assert norm.running_mean is not None
        assert norm.running_var is not None
        self.norm = norm
        self.now = (norm.running_mean, norm.running_var)
        self.average = (norm.running_mean.clone(), norm.running_var.clone())
        self.share = 1.0
        """That this batch has of the images so far."""

    def __call__(self, _: nn.Module, inputs: tuple[Tensor]) -> None:
        mean, variance, count = _moments(inputs[0])
        for now, average, value, estimate in zip(
            self.now, self.average, (mean, variance), (mean, variance * (count / (count - 1))), strict=True
        ):
            now.copy_(value)
            average.lerp_(estimate.to(average.dtype), self.share)
        assert self.norm.num_batches_tracked is not None
        self.norm.num_batches_tracked.add_(1)

    def finish(self) -> None:
        for now, average in zip(self.now, self.average, strict=True):
            now.copy_(average)


@contextlib.contextmanager
def _observed(norms: list[nn.modules.batchnorm._BatchNorm]) -> Iterator[list[_Observer]]:
    """Afterwards, the norms have the averages."""
    observers = [_Observer(norm) for norm in norms]
    hooks = [norm.register_forward_pre_hook(one) for norm, one in zip(norms, observers, strict=True)]
    try:
        yield observers
    finally:
        for hook, observer in zip(hooks, observers, strict=True):
            hook.remove()
            observer.finish()


def _moments(x: Tensor) -> tuple[Tensor, Tensor, int]:
    """Mean and variance of each channel, in single precision at least, and of how many values."""
    count = x.numel() // x.shape[1]
    x = x.reshape(*x.shape[:2], -1)
    dtype = torch.promote_types(x.dtype, torch.float32)
    if x.device.type != "cpu":
        variance, mean = torch.var_mean(x.to(dtype), (0, 2), correction=0)
        return mean, variance, count
    # Reductions over the innermost dimension are those that PyTorch has fast code for.
    mean = x.sum(2, dtype=dtype).sum(0) / count
    variance = torch.linalg.vector_norm(x, 2, 2, dtype=dtype).square().sum(0) / count - mean.square()
    if bool((mean.square() > FAR * variance).any()):  # the difference has too few digits left
        variance = (x.to(dtype) - mean[:, None]).square().sum((0, 2)) / count
    return mean, variance, count


def _average(norms: list[nn.modules.batchnorm._BatchNorm], seen: int, us: Processes) -> None:
    """Over processes, each weighing as many images as it had."""
    tensors = [tensor for norm in norms for tensor in (norm.running_mean, norm.running_var) if tensor is not None]
    flat = torch.cat([tensor.double().flatten() for tensor in tensors] + [tensors[0].new_ones(1).double()]) * seen
    if seen == 0:
        flat = torch.zeros_like(flat)  # what was never filled may be anything
    us.sum_(flat)
    parts = (flat[:-1] / flat[-1]).split([tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))
