"""A network of timm's that teaches: it never changes, and its scores pull at the largest subnet beside the labels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import Space
from supernet.values import SpecError, first_line, show

from .config import AugmentConfig, TeacherConfig
from .losses import soft_cross_entropy, soft_labels
from .precision import Precision

Colours = tuple[float, ...]


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

    def loss(self, scores: Any, targets: Tensor, by_teacher: Tensor) -> Tensor:
        """A network with two classifiers learns from the labels with one and from the teacher with the other, as DeiT
        does; any other from both with the one it has."""
        from_labels, from_teacher = scores if isinstance(scores, tuple) else (scores, scores)
        if self.config.loss == "hard":
            taught = F.cross_entropy(from_teacher.float(), by_teacher.argmax(dim=-1))
        else:
            taught = soft_labels(from_teacher, by_teacher, self.config.temperature)
        share = self.config.share
        return (1 - share) * soft_cross_entropy(from_labels, targets) + share * taught


def make_teacher(
    config: TeacherConfig | None, augment: AugmentConfig, space: Space, precision: Precision
) -> Teacher | None:
    if config is None:
        return None
    import timm

    if not timm.is_model(config.model):
        near = ", ".join(timm.list_models(f"*{config.model.split('_')[0]}*")[:5]) or "see timm.list_models()"
        raise SpecError("step.teacher.model", f"{config.model!r} is not a model of timm's; near are {near}")
    known = timm.get_pretrained_cfg(config.model)
    if not config.weights and known is not None and known.num_classes != space.num_classes:
        raise SpecError(
            "step.teacher.model",
            f"{config.model!r} knows {known.num_classes} classes and the data have {space.num_classes}: "
            "step.teacher.weights must be the checkpoint of one that was trained on such data",
        )
    try:
        net = timm.create_model(
            config.model,
            pretrained=not config.weights,
            checkpoint_path=config.weights,
            num_classes=space.num_classes,
            in_chans=space.in_chans,
        )
    except (RuntimeError, OSError, ValueError) as error:
        where = "step.teacher.weights" if config.weights else "step.teacher.model"
        raise SpecError(where, f"the teacher's weights can't be loaded: {first_line(error)}") from None
    change = None
    if not config.weights and space.in_chans == 3:  # a checkpoint of the user's own was trained on images as they are
        change = colour_change((augment.mean, augment.std), (net.pretrained_cfg["mean"], net.pretrained_cfg["std"]))
    if change is not None:
        change = (change[0].to(precision.device), change[1].to(precision.device))
    teacher = Teacher(precision.place_net(net), config, change)
    _try(teacher, space, precision)
    return teacher


def colour_change(ours: tuple[Colours, Colours], theirs: tuple[Colours, Colours]) -> tuple[Tensor, Tensor] | None:
    """From images normalised with our mean and deviation to images normalised with theirs: a factor and a summand."""
    if ours == theirs:
        return None
    (mean, std), (their_mean, their_std) = (
        [torch.tensor(of).view(1, -1, 1, 1) for of in side] for side in (ours, theirs)
    )
    return std / their_std, (mean - their_mean) / their_std


def _try(teacher: Teacher, space: Space, precision: Precision) -> None:
    """Some networks take images of one size only: known now, not at the first step."""
    for resolution in space.resolutions:
        size = resolution if isinstance(resolution, tuple) else (resolution, resolution)
        try:
            teacher.scores(precision.place(torch.zeros(1, space.in_chans, *size)), precision)
        except (RuntimeError, AssertionError, ValueError) as error:
            reason = f"{teacher.config.model!r} can't take images of {show(resolution)} pixels: {first_line(error)}"
            raise SpecError("step.teacher.model", reason) from None
