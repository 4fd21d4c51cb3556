"""Batch-norm statistics of a subnet: its own, from training images, before anything is evaluated."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from supernet.norms import SyncedNorm

from .precision import Precision
from .processes import Processes


def batch_norms(net: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    return [module for module in net.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]


@torch.no_grad()
def calibrate(
    net: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    precision: Precision | None = None,
    us: Processes | None = None,
) -> None:
    """Sets the running mean and variance to the average over these batches, of all processes. Leaves `net` in
    evaluation mode. Without batch norms there is nothing to do, and no batch is asked for."""
    precision, us = precision or Precision(), us or Processes()
    norms = batch_norms(net)
    net.eval()
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    synced = [norm for norm in norms if isinstance(norm, SyncedNorm)]
    for one in synced:
        one.alone = True  # the processes may have more or fewer batches, and are averaged afterwards
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain average
        norm.train()
    count = 0
    for images, _ in batches:
        if len(images) > 1:  # of a single image, the head's norm has no variance
            with precision.autocast():
                net(precision.place(images))
            count += 1
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
    for one in synced:
        one.alone = False
    if us.totals([count])[0] == 0:
        raise ValueError("batch norms can't be calibrated without images: a batch of at least 2 is needed")
    if us.world > 1:
        _average(norms, count, us)


def _average(norms: list[nn.modules.batchnorm._BatchNorm], count: int, us: Processes) -> None:
    """Over processes, each weighing as many batches as it had."""
    tensors = [tensor for norm in norms for tensor in (norm.running_mean, norm.running_var) if tensor is not None]
    flat = torch.cat([tensor.double().flatten() for tensor in tensors] + [tensors[0].new_ones(1).double()]) * count
    if count == 0:
        flat = torch.zeros_like(flat)  # what was never filled may be anything
    us.sum_(flat)
    parts = (flat[:-1] / flat[-1]).split([tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))
