"""Images a second in training: the largest published member of a space, trained on the supernet, against timm's."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import timm
import torch
from torch import nn

from bench.timing import Run, Timed, in_turn
from supernet import NetSpec, Supernet, count, load_space
from supernet.space.published import published_members
from training.losses import soft_cross_entropy
from training.optimization import make_optimizer

from .setting import Setting
from .steps import ADAMW, soft_targets

WARM_UP = 3


def largest_published(space_name: str) -> tuple[str, NetSpec] | None:
    """Of those members that timm has too."""
    known = [one for one in published_members(load_space(space_name)).items() if timm.is_model(one[0])]
    return max(known, key=lambda one: count(one[1]).macs, default=None)


def compare_throughput(setting: Setting) -> Iterator[dict[str, Any]]:
    """A training step each: zeroing, forward, backward, AdamW. Ours moves all weights of the supernet; timm's step only
    has those of its network."""
    found = largest_published(setting.space)
    if found is None:
        return
    name, spec = found
    setting = replace(setting, pixels=spec.size[0])
    space = setting.load()
    images, targets = setting.images(space), soft_targets(setting, space)
    net = Supernet(space).to(setting.device)
    theirs = timm.create_model(name).to(setting.device).train()
    ours_run = _step(net, lambda: net.subnet(spec), images, targets, setting)
    their_run = _step(theirs, lambda: theirs, images, targets, setting)
    pair = (Timed(ours_run), Timed(their_run))
    gc.collect()
    in_turn(itertools.repeat(pair, WARM_UP))
    compared = in_turn(itertools.repeat(pair, setting.pairs))
    speeds = {
        "ours_images_s": 1e3 * setting.batch / compared.ours_ms,
        "timm_images_s": 1e3 * setting.batch / compared.other_ms,
    }
    yield {"table": "throughput", "network": name, **setting.about(space), **compared.row("timm"), **speeds}


def _step(
    owner: Any, find: Callable[[], nn.Module], images: torch.Tensor, targets: torch.Tensor, setting: Setting
) -> Run:
    optimizer = make_optimizer(owner, ADAMW, setting.batch)

    def run() -> None:
        owner.zero_grad()
        with setting.precision.autocast():
            loss = soft_cross_entropy(find()(images), targets)
        loss.backward()
        optimizer.step()

    return run
