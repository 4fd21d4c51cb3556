"""Batch-norm statistics of a subnet: its own, from training images, before anything is evaluated."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from supernet.elastic.norms import SyncedNorm
from supernet.values import SpecError

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
    """Sets the running mean and variance to the average over these batches, of all processes, each image weighing the
    same. Leaves `net` in evaluation mode. Without batch norms there is nothing to do, and no batch is asked for."""
    precision, us = precision or Precision(), us or Processes()
    norms = batch_norms(net)
    net.eval()
    if not norms:
        return
    with _learning(norms):
        seen = 0
        for images, _ in batches:
            if len(images) > 1:  # of a single image, the head's norm has no variance
                seen += len(images)
                for norm in norms:
                    norm.momentum = len(images) / seen
                with precision.autocast():
                    net(precision.place(images))
    if us.totals([seen])[0] == 0:
        raise SpecError(
            "evaluate.calibration_images", "batch norms need at least 2 images in a batch of one of the processes"
        )
    if us.world > 1:
        _average(norms, seen, us)


@contextlib.contextmanager
def _learning(norms: list[nn.modules.batchnorm._BatchNorm]) -> Iterator[None]:
    """Only the norms are in training mode, and each process for itself: some may have more batches than others."""
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.train()
        if isinstance(norm, SyncedNorm):
            norm.alone = True
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
            if isinstance(norm, SyncedNorm):
                norm.alone = False


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
