"""Learning which blocks matter: the shares of paths follow the gradient of the loss of training images."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from supernet import Space, SpecError
from supernet.options import Size
from training.data import Data, open_data
from training.loop import DivergedError
from training.precision import Precision, set_up
from training.processes import device_for
from training.supernet_folder import read_setting, read_supernet

from ..config import ImportanceConfig
from .paths import IDENTITY, Paths
from .worth import Importances

Learn = Callable[[], Importances]
Progress = Callable[[int, int, str], None]
"""Told how many steps are done, of how many, and how it goes."""

LARGEST_LOG = 50.0
"""Of an importance: a block this far above the way around it is as good as always there."""


def learning_on(run: str, space: Space, config: ImportanceConfig, seed: int, progress: Progress | None = None) -> Learn:
    """Learns on the supernet of a run when it is first called, the same for the same seed. `space` is the run's or a
    part of it."""
    if not run:
        raise SpecError(
            "method",
            "importance learns on the weights of a supernet: set `supernet` to the folder of a run of "
            "train_supernet.py; a function of specs alone has none",
        )
    return functools.cache(functools.partial(_learn_on, Path(run), space, config, seed, progress))


def _learn_on(
    folder: Path, space: Space, config: ImportanceConfig, seed: int, progress: Progress | None
) -> Importances:
    settings, _ = read_setting(folder, [f"data.batch_size={config.batch_size}"])
    precision = set_up(settings.precision, device_for(settings.precision, 0))
    if precision.amp == "fp16":  # gradients would need scaling, for a few hundred steps
        precision = replace(precision, amp="none")
    net, _ = read_supernet(folder)
    paths = Paths(precision.place_net(net.requires_grad_(False)), space)
    try:
        data = open_data(settings.data, settings.augment, seed=settings.seed, in_chans=space.in_chans)
    except SpecError as error:
        raise error if error.path != "data.batch_size" else SpecError("method.batch_size", error.message) from None
    with contextlib.closing(_endless(data, paths.size, seed)) as batches:
        return learn(paths, batches, config, seed, precision, progress)


def _endless(data: Data, size: Size, seed: int) -> Generator[tuple[Tensor, Tensor], None, None]:
    """Training images, augmented as in training, in an order of the seed's own."""
    for epoch in itertools.count(seed << 20):
        yield from data.train_batches(epoch, 0, lambda _: size)


def learn(
    paths: Paths,
    batches: Iterable[tuple[Tensor, Tensor]],
    config: ImportanceConfig,
    seed: int,
    precision: Precision | None = None,
    progress: Progress | None = None,
) -> Importances:
    """Gradient descent on one logit for each path, with Gumbel noise (Jang et al. 2017); weights stay as they are.

    Gradients are divided by their root mean square over all paths and steps so far. A scale for each, as Adam's, would
    move all that have a sign alike: a block that matters little would become as important as one that matters much.
    """
    precision = precision or Precision()
    is_open = paths.is_open().to(precision.device)
    logits = torch.zeros(is_open.shape, device=precision.device).masked_fill(~is_open, -math.inf).requires_grad_()
    noise_of, squares = torch.Generator().manual_seed(seed), 0.0
    with paths.by_batch():
        for step, (images, labels) in enumerate(itertools.islice(batches, config.learning_steps), 1):
            drawn = torch.empty(is_open.shape).exponential_(generator=noise_of).clamp_min(1e-30)
            shares = ((logits - drawn.log().to(precision.device)) / config.temperature).softmax(1)
            with precision.autocast():
                scores = paths(precision.place(images), shares)
            loss = F.cross_entropy(scores.float(), labels.to(precision.device, non_blocking=True))
            (gradient,) = torch.autograd.grad(loss, logits)
            value, square = loss.item(), gradient[is_open].square().mean().item()
            if not math.isfinite(value + square):
                raise DivergedError(
                    f"importances can't be learnt: the loss is {value:g} and its gradient's mean square {square:g} at "
                    f"step {step:,}; supernet or images are not finite, or too large for the run's precision.amp"
                )
            squares += square
            with torch.no_grad():
                rate = config.lr / max(math.sqrt(squares / step), 1e-30)
                logits -= torch.where(is_open, rate * gradient, 0.0)
            if progress is not None:
                progress(step, config.learning_steps, f"loss {value:.3f}")
    return _importances(paths, logits.detach().double().cpu().numpy())


def _importances(paths: Paths, logits: np.ndarray) -> Importances:
    over = np.exp(np.minimum(logits[:, 1:] - logits[:, [IDENTITY]], LARGEST_LOG))
    ends = np.cumsum([len(slots) for slots in paths.slots])[:-1]
    parts = zip(np.split(over, ends), paths.kinds, strict=True)
    return Importances(tuple(part[:, :kinds] for part, kinds in parts))
