"""A whole sandwich step against the sum of its static parts, and the time it takes to assemble a subnet.

The static parts: four static networks (largest, smallest, two random), forward and backward with the losses of the
sandwich, the largest's scores taught to the others, and a step of AdamW over tensors as many and as large as the
supernet's. The random ones are other ones in each pair. The supernet draws and assembles them within its time; the
static ones are built outside of theirs, and run once before, so that neither side of a pair meets a shape of
convolution first, for which the libraries below PyTorch then make a kernel.
"""

from __future__ import annotations

import functools
import gc
import random
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.timing import Timed, clock, in_turn
from supernet import Network, Space, Supernet, build
from training.config import OptimizerConfig
from training.losses import soft_cross_entropy, soft_labels
from training.optimization import make_optimizer
from training.precision import Precision
from training.step import LARGEST, SAMPLED, SMALLEST, Member, Sandwich
from training.supernet_config import StepConfig

from .setting import Setting

ADAMW = OptimizerConfig(lr=1e-5)
WARM_UP = 2
ASSEMBLED = 24


def sandwich_members(space: Space, number: int) -> list[Member]:
    """Of step `number`."""
    rng = random.Random(f"bench {number}")
    drawn = [Member(SAMPLED, space.sample(rng)) for _ in range(2)]
    return [Member(LARGEST, space.largest()), Member(SMALLEST, space.smallest()), *drawn]


def supernet_step(
    space: Space, images: Tensor, targets: Tensor, precision: Precision
) -> tuple[Supernet, Callable[[int], None]]:
    """The supernet, and a function that takes step `number`, drawing its members first."""
    net = Supernet(space).to(precision.device)
    sandwich = Sandwich(net, make_optimizer(net, ADAMW, len(images)), StepConfig(), ADAMW, precision)

    def step(number: int) -> None:
        sandwich.step(sandwich_members(space, number), iter([(images, targets)]), 1, False)

    return net, step


def static_parts(
    nets: list[Network], optimizer: torch.optim.Optimizer, images: Tensor, targets: Tensor, precision: Precision
) -> Callable[[], None]:
    """The same work by static networks, of which the first teaches the others."""

    def step() -> None:
        for net in nets:
            net.zero_grad(set_to_none=True)
        by_largest: Tensor | None = None
        for net in nets:
            with precision.autocast():
                scores = net(images)
                loss = soft_cross_entropy(scores, targets) if by_largest is None else soft_labels(scores, by_largest)
            if by_largest is None:
                by_largest = scores.detach()
            loss.backward()
        optimizer.step()

    return step


def soft_targets(setting: Setting, space: Space) -> Tensor:
    return F.one_hot(setting.labels(space), space.num_classes).float()


def compare_steps(setting: Setting) -> Iterator[dict[str, Any]]:
    space, precision = setting.load(), setting.precision
    images, targets = setting.images(space), soft_targets(setting, space)
    _, step = supernet_step(space, images, targets, precision)
    optimizer = _optimizer_of_that_size(space, precision, setting.batch)
    extremes = [build(space.largest()).to(setting.device), build(space.smallest()).to(setting.device)]

    def pairs(first: int, number: int) -> Iterator[tuple[Timed, Timed]]:
        for index in range(first, first + number):
            drawn = [build(member.spec).to(setting.device) for member in sandwich_members(space, index)[2:]]
            static = static_parts([*extremes, *drawn], optimizer, images, targets, precision)
            static()
            gc.collect()
            yield Timed(functools.partial(step, index)), Timed(static)

    in_turn(pairs(0, WARM_UP))
    found = in_turn(pairs(WARM_UP, setting.pairs))
    yield {"table": "steps", **setting.about(space), **found.row("static")}


def _optimizer_of_that_size(space: Space, precision: Precision, batch: int) -> torch.optim.Optimizer:
    """With gradients that nobody computes."""
    same = Supernet(space).to(precision.device)
    same.gradients.normal_(std=1e-3)
    return make_optimizer(same, ADAMW, batch)


def assembling(setting: Setting) -> Iterator[dict[str, Any]]:
    """Milliseconds from a spec to its subnet: of pieces made for it, and of pieces that earlier subnets left."""
    space = setting.load()
    net = Supernet(space).to(setting.device)
    specs = space.members(random.Random(0), ASSEMBLED)
    net.subnet(space.largest())  # what is imported and cached once
    held: list[nn.Module] = []
    times: dict[str, list[float]] = {"new": [], "kept": []}
    for kind in times:
        gc.collect()
        for spec in specs:
            start = clock()
            held.append(net.subnet(spec))  # held, so that no piece is free for the next one
            times[kind].append(1e3 * (clock() - start))
        held.clear()
        net.forget_subnets()
    yield {
        "table": "assembling",
        **setting.about(space),
        "new_ms": statistics.median(times["new"]),
        "kept_ms": statistics.median(times["kept"]),
        "subnets": len(specs),
    }
