"""A network of timm's that teaches: it never changes, and its scores pull at the largest subnet beside the labels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.values import SpecError

from .config import TeacherConfig
from .losses import soft_cross_entropy, soft_labels
from .precision import Precision


class Teacher:
    def __init__(self, net: nn.Module, config: TeacherConfig) -> None:
        self.net = net.eval().requires_grad_(False)
        self.config = config

    @torch.no_grad()
    def scores(self, images: Tensor, precision: Precision) -> Tensor:
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


def make_teacher(config: TeacherConfig | None, num_classes: int, in_chans: int, precision: Precision) -> Teacher | None:
    if config is None:
        return None
    import timm

    if not timm.is_model(config.model):
        near = ", ".join(timm.list_models(f"*{config.model.split('_')[0]}*")[:5]) or "see timm.list_models()"
        raise SpecError("step.teacher.model", f"{config.model!r} is not a model of timm's; near are {near}")
    known = timm.get_pretrained_cfg(config.model)
    if not config.weights and known is not None and known.num_classes != num_classes:
        raise SpecError(
            "step.teacher.model",
            f"{config.model!r} knows {known.num_classes} classes and the data have {num_classes}: step.teacher.weights "
            "must be the checkpoint of one that was trained on such data",
        )
    try:
        net = timm.create_model(
            config.model,
            pretrained=not config.weights,
            checkpoint_path=config.weights,
            num_classes=num_classes,
            in_chans=in_chans,
        )
    except (RuntimeError, OSError, ValueError) as error:
        where = "step.teacher.weights" if config.weights else "step.teacher.model"
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SpecError(where, f"the teacher's weights can't be loaded: {reason}") from None
    return Teacher(precision.place_net(net), config)
