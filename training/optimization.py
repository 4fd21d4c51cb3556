"""The optimiser and its schedule, by timm, with the published parameter groups."""

from __future__ import annotations

import torch
from timm.optim import create_optimizer_v2, list_optimizers
from timm.scheduler import CosineLRScheduler
from timm.scheduler.scheduler import Scheduler
from torch import nn

from supernet.values import SpecError, did_you_mean, first_line

from .config import OptimizerConfig, ScheduleConfig

MANY = 1000
"""Steps of an epoch, where it is not known how many there are."""


def make_optimizer(
    net: nn.Module, config: OptimizerConfig, images_per_step: int, layer_decay: float | None = None
) -> torch.optim.Optimizer:
    """Vectors (norms, biases, layer scales) and bias tables have no weight decay. With `layer_decay`, each block has so
    much of the rate of the one above it."""
    known = list_optimizers()
    if config.name.lower().removeprefix("lookahead_") not in known:
        raise SpecError("optimizer.name", f"{config.name!r} is none of timm's: {did_you_mean(config.name, known)}")
    options = {"betas": config.betas} if config.betas is not None else {}
    eps = {"eps": config.eps} if config.eps is not None else {}
    try:
        optimizer = create_optimizer_v2(
            net,
            opt=config.name,
            lr=peak_lr(config, images_per_step),
            weight_decay=config.weight_decay,
            momentum=config.momentum,
            layer_decay=layer_decay,
            **options,
            **eps,
        )
    except (ValueError, AssertionError, KeyError, TypeError) as error:
        raise SpecError("optimizer.name", f"{config.name!r} can't be made here: {first_line(error)}") from None
    if getattr(optimizer, "is_second_order", False):
        raise SpecError("optimizer.name", f"{config.name!r} needs gradients of gradients, which a step doesn't make")
    return optimizer


def peak_lr(config: OptimizerConfig, images_per_step: int) -> float:
    return config.lr * images_per_step / config.lr_per_images if config.lr_per_images else config.lr


def check(optimizer: OptimizerConfig, schedule: ScheduleConfig) -> None:
    """What is wrong whatever is trained, and on however many images. SpecError."""
    made = make_optimizer(nn.Linear(1, 1), optimizer, images_per_step=1)
    _warmup_steps(schedule, MANY)
    if not optimizer.lr_per_images:
        _check_rates(schedule, made)


def _warmup_steps(config: ScheduleConfig, steps_per_epoch: int) -> int:
    steps = round(config.warmup_epochs * steps_per_epoch)
    if steps >= config.epochs * steps_per_epoch:
        raise SpecError("schedule.warmup_epochs", f"{config.warmup_epochs:g} are not fewer than {config.epochs} epochs")
    return steps


def _check_rates(config: ScheduleConfig, optimizer: torch.optim.Optimizer) -> None:
    peak = optimizer.param_groups[0]["lr"]
    for field in ("warmup_lr", "min_lr"):
        if getattr(config, field) > peak:
            raise SpecError(f"schedule.{field}", f"{getattr(config, field):g} is above the highest rate, {peak:g}")


def make_schedule(optimizer: torch.optim.Optimizer, config: ScheduleConfig, steps_per_epoch: int) -> Scheduler:
    """Warm-up and cosine, then the lowest rate; a function of the step alone."""
    total = config.epochs * steps_per_epoch
    after = config.cosine_from == "warmup"
    warmup = _warmup_steps(config, steps_per_epoch)
    _check_rates(config, optimizer)
    return CosineLRScheduler(
        optimizer,
        t_initial=total - warmup if after else total,
        lr_min=config.min_lr,
        warmup_t=warmup,
        warmup_lr_init=config.warmup_lr,
        warmup_prefix=after,
        cycle_limit=1,
        t_in_epochs=False,
    )
