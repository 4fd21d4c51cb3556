"""How good members of a supernet are: each with batch norms calibrated for it, on images it did not learn from."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import NetSpec, Space, Supernet, count
from supernet.options import Size
from supernet.space.published import published_members

from .calibration import calibrate
from .precision import Precision
from .processes import Processes

Batches = Callable[[Size], Iterable[tuple[Tensor, Tensor]]]
"""Images and labels at a size."""


class Scores(NamedTuple):
    """Percentages of `images`, and the mean cross-entropy."""

    top1: float
    top5: float
    loss: float
    images: int


@torch.no_grad()
def evaluate(
    net: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    precision: Precision | None = None,
    us: Processes | None = None,
) -> Scores:
    """In evaluation mode, over the images of all processes."""
    precision, us = precision or Precision(), us or Processes()
    net.eval()
    total = torch.zeros(4, dtype=torch.float64, device=precision.device)
    for images, labels in batches:
        labels = labels.to(precision.device, non_blocking=True)
        with precision.autocast():
            scores = net(precision.place(images))
        scores = scores.float()
        best = scores.topk(min(5, scores.shape[1]), dim=1).indices == labels[:, None]
        loss = F.cross_entropy(scores, labels, reduction="sum")
        total += torch.stack([best[:, 0].sum(), best.any(1).sum(), loss, torch.tensor(len(labels), device=loss.device)])
    us.sum_(total)
    first, five, loss, images = total.tolist()
    if not images:
        raise ValueError("there are no images to evaluate")
    return Scores(100 * first / images, 100 * five / images, loss / images, int(images))


def evaluate_member(
    net: Supernet,
    spec: NetSpec,
    calibration: Batches,
    validation: Batches,
    precision: Precision | None = None,
    us: Processes | None = None,
) -> Scores:
    """The member on the supernet's weights, its batch norms calibrated first."""
    subnet = net.subnet(spec)
    calibrate(subnet, calibration(spec.size), precision, us)
    return evaluate(subnet, validation(spec.size), precision, us)


def evaluate_members(
    net: Supernet,
    members: Iterable[tuple[str, NetSpec]],
    calibration: Batches,
    validation: Batches,
    precision: Precision | None = None,
    us: Processes | None = None,
) -> Iterator[dict[str, Any]]:
    """A row for each member: its name, scores, parameters and MACs."""
    for name, spec in members:
        yield scores_row(name, evaluate_member(net, spec, calibration, validation, precision, us), spec)


def scores_row(name: str, scores: Scores, spec: NetSpec) -> dict[str, Any]:
    counted = count(spec)
    return {
        "name": name,
        "top1": round(scores.top1, 3),
        "top5": round(scores.top5, 3),
        "loss": round(scores.loss, 5),
        "params_m": round(counted.params / 1e6, 4),
        "macs_m": round(counted.macs / 1e6, 3),
    }


def evaluation_members(space: Space, random_members: int, published: bool, seed: int) -> list[tuple[str, NetSpec]]:
    """The largest, the smallest, the published ones that lie in the space, and random ones, by name."""
    found = [("largest", space.largest()), ("smallest", space.smallest())]
    found += published_members(space).items() if published else []
    rng = random.Random(f"{seed} evaluation")
    found += [(f"random {n + 1}", spec) for n, spec in enumerate(space.members(rng, random_members))]
    return found
