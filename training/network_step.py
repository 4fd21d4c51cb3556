"""One step of the optimiser for one network: what it learns from labels, from a teacher, and from its own average."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .losses import mean_scores, soft_cross_entropy
from .moving import FlatGradients, Mover
from .network_config import NetworkStepConfig
from .precision import Precision
from .processes import Processes
from .subject import Outcome
from .teacher import Teacher


class NetworkStep:
    """`run` is the network, or a compiled form of it; `average` the running average of its weights."""

    def __init__(
        self,
        run: nn.Module,
        gradients: FlatGradients,
        mover: Mover,
        config: NetworkStepConfig,
        precision: Precision,
        us: Processes,
        teacher: Teacher | None = None,
        average: nn.Module | None = None,
    ) -> None:
        self.run, self.gradients, self.mover = run, gradients, mover
        self.config, self.precision, self.us = config, precision, us
        self.teacher, self.average = teacher, average
        self.criterion = soft_cross_entropy if config.loss == "softmax" else sigmoid_cross_entropy

    def __call__(self, batches: Iterator[tuple[Tensor, Tensor]], parts: int, progress: float) -> Outcome:
        """Takes `parts` batches of images and soft targets, then moves the weights once."""
        self.gradients.clear()
        losses = []
        for _ in range(parts):
            images, targets = next(batches)
            images = self.precision.place(images)
            loss = self._loss(images, targets.to(self.precision.device, non_blocking=True), progress)
            self.mover.scaler.scale(loss / parts).backward()
            losses.append(loss.detach().float() / parts)
        self.gradients.average(self.us)
        finite = self.mover.move(self.gradients.whole)
        return Outcome(torch.stack(losses).sum()[None], finite)

    def _loss(self, images: Tensor, targets: Tensor, progress: float) -> Tensor:
        by_teacher = self.teacher.scores(images, self.precision) if self.teacher is not None else None
        with self.precision.autocast():
            scores = self.run(images)
            if self.teacher is not None and by_teacher is not None:
                loss = self.teacher.loss(scores, targets, by_teacher, self.criterion)
            else:
                loss = self.criterion(scores, targets)
            mesa = self.config.mesa
            if mesa is not None and self.average is not None and progress >= mesa.start:
                loss = loss + mesa.ratio * self.criterion(mean_scores(scores), self._by_average(images))
        return loss

    @torch.no_grad()
    def _by_average(self, images: Tensor) -> Tensor:
        assert self.average is not None
        scores = self.average.eval()(images).float()
        return scores.softmax(dim=-1) if self.config.loss == "softmax" else scores.sigmoid()


def sigmoid_cross_entropy(scores: Tensor, targets: Tensor) -> Tensor:
    """Each class for itself; mean over images and classes, as the authors of LowFormer and timm take it."""
    return F.binary_cross_entropy_with_logits(scores.float(), targets)
