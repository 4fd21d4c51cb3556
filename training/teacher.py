"""A network of timm's that teaches: it never changes, and its scores pull at the largest subnet beside the labels."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import NetSpec, Space, WeightsError
from supernet.options import Size
from supernet.values import SpecError, first_line, printable, show
from supernet.weights.files import read_state

from .config import AugmentConfig, TeacherConfig
from .losses import soft_cross_entropy, soft_labels
from .precision import Precision

Colours = tuple[float, ...]
Criterion = Callable[[Tensor, Tensor], Tensor]
"""The loss of scores and soft targets."""
Taught = Space | NetSpec
"""Whose classes and channels the teacher must have."""


class Teacher:
    """`change` is by what images are multiplied, and what is added then, so that the teacher sees colours as it knows
    them."""

    def __init__(self, net: nn.Module, config: TeacherConfig, change: tuple[Tensor, Tensor] | None = None) -> None:
        self.net = net.eval().requires_grad_(False)
        self.config = config
        self.change = change

    @torch.no_grad()
    def scores(self, images: Tensor, precision: Precision) -> Tensor:
        if self.change is not None:
            factor, summand = self.change
            images = images * factor + summand
        with precision.autocast():
            scores: Tensor = self.net(images)
        return scores

    def loss(
        self, scores: Any, targets: Tensor, by_teacher: Tensor, criterion: Criterion = soft_cross_entropy
    ) -> Tensor:
        """A network with two classifiers learns from the labels with one and from the teacher with the other, as DeiT
        does; any other from both with the one it has."""
        from_labels, from_teacher = scores if isinstance(scores, tuple) else (scores, scores)
        if self.config.loss == "hard":
            taught = F.cross_entropy(from_teacher.float(), by_teacher.argmax(dim=-1))
        else:
            taught = soft_labels(from_teacher, by_teacher, self.config.temperature)
        share = self.config.share
        return (1 - share) * criterion(from_labels, targets) + share * taught


def make_teacher(
    config: TeacherConfig | None,
    field: str,
    augment: AugmentConfig,
    taught: Taught,
    resolutions: Iterable[int | Size],
    precision: Precision,
) -> Teacher | None:
    """`field`: where the config stands; `resolutions`: of the images it will see."""
    if config is None:
        return None
    import timm

    model = f"{field}.model"
    if not timm.is_model(config.model):
        near = ", ".join(difflib.get_close_matches(config.model, timm.list_models(), n=5)) or "see timm.list_models()"
        raise SpecError(model, f"{config.model!r} is not a model of timm's; {near}")
    known = timm.get_pretrained_cfg(config.model)
    if not config.weights and known is not None and known.num_classes != taught.num_classes:
        raise SpecError(
            model,
            f"{config.model!r} knows {known.num_classes} classes and the data have {taught.num_classes}: "
            f"{field}.weights must be the checkpoint of one that was trained on such data",
        )
    try:
        net = timm.create_model(
            config.model, pretrained=not config.weights, num_classes=taught.num_classes, in_chans=taught.in_chans
        )
    except (RuntimeError, OSError, ValueError) as error:
        raise SpecError(model, f"the teacher's weights can't be had: {first_line(error)}") from None
    if config.weights:
        _load(net, config.weights, f"{field}.weights")
    change = None
    if not config.weights and taught.in_chans == 3:  # a checkpoint of the user's own was trained on images as they are
        change = colour_change((augment.mean, augment.std), (net.pretrained_cfg["mean"], net.pretrained_cfg["std"]))
    if change is not None:
        change = (change[0].to(precision.device), change[1].to(precision.device))
    teacher = Teacher(precision.place_net(net), config, change)
    _try(teacher, model, resolutions, taught.in_chans, precision)
    return teacher


def colour_change(ours: tuple[Colours, Colours], theirs: tuple[Colours, Colours]) -> tuple[Tensor, Tensor] | None:
    """From images normalised with our mean and deviation to images normalised with theirs: a factor and a summand."""
    if ours == theirs:
        return None
    (mean, std), (their_mean, their_std) = (
        [torch.tensor(of).view(1, -1, 1, 1) for of in side] for side in (ours, theirs)
    )
    return std / their_std, (mean - their_mean) / their_std


def _load(net: nn.Module, path: str, field: str) -> None:
    try:
        net.load_state_dict(read_state(path)[0])
    except WeightsError as error:
        raise SpecError(field, str(error)) from None
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise SpecError(field, f"{printable(path)} is not of this teacher: {reason}") from None


def _try(teacher: Teacher, field: str, resolutions: Iterable[int | Size], in_chans: int, precision: Precision) -> None:
    """Some networks take images of one size only: known now, not at the first step."""
    for resolution in resolutions:
        size = resolution if isinstance(resolution, tuple) else (resolution, resolution)
        try:
            teacher.scores(precision.place(torch.zeros(1, in_chans, *size)), precision)
        except (RuntimeError, AssertionError, ValueError) as error:
            reason = f"{teacher.config.model!r} can't take images of {show(resolution)} pixels: {first_line(error)}"
            raise SpecError(field, reason) from None
