"""One step of the optimiser, the sandwich: the largest subnet learns from the labels, the others from it, and the
gradients of all are added up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet import Supernet
from supernet.options import Size

from .config import OptimizerConfig
from .conflict import two_groups, without_conflict
from .losses import alpha_divergence, mean_scores, soft_cross_entropy, soft_labels
from .moving import Mover
from .precision import Precision
from .processes import Processes
from .subject import Member, Outcome
from .supernet_config import StepConfig
from .teacher import Teacher

LARGEST, SMALLEST, SAMPLED = "largest", "smallest", "sampled"


Runner = Callable[[Member], nn.Module]
"""The module that runs a member: its subnet, or a compiled form of it."""


class Sandwich:
    """What a step needs and changes, beside the members and the images."""

    def __init__(
        self,
        net: Supernet,
        optimizer: torch.optim.Optimizer,
        config: StepConfig,
        optimizer_config: OptimizerConfig,
        precision: Precision | None = None,
        us: Processes | None = None,
        teacher: Teacher | None = None,
        runner: Runner | None = None,
    ) -> None:
        self.net = net
        self.config = config
        self.precision = precision or Precision()
        self.us = us or Processes()
        self.teacher = teacher
        self.runner = runner or (lambda member: net.subnet(member.spec))
        self.mover = Mover(net.parameters(), optimizer, optimizer_config, self.precision)

    def step(
        self, members: Sequence[Member], batches: Iterator[tuple[Tensor, Tensor]], parts: int, solve_conflicts: bool
    ) -> Outcome:
        """Takes `parts` batches of images and soft targets, then moves the weights once."""
        self.net.zero_grad()
        losses = torch.zeros(len(members), device=self.precision.device)
        conflict = self.config.conflict if solve_conflicts and len(members) > 1 else "none"
        groups = two_groups([member.spec for member in members], conflict) if conflict != "none" else []
        divided = any(groups) and not all(groups)
        first = torch.zeros_like(self.net.gradients) if divided else None
        second = torch.zeros_like(self.net.gradients) if divided else None
        for _ in range(parts):
            images, targets = next(batches)
            if first is None or second is None:
                losses += self._accumulate(members, images, targets, parts, None)
                continue

            def move(index: int, first: Tensor = first, second: Tensor = second) -> None:
                (first if groups[index] else second).add_(self.net.gradients)
                self.net.zero_grad()

            losses += self._accumulate(members, images, targets, parts, move)
        self._exchange(first, second, mutual=conflict == "attention")
        return Outcome(losses, self.mover.move(self.net.gradients))

    def _accumulate(
        self,
        members: Sequence[Member],
        images: Tensor,
        targets: Tensor,
        parts: int,
        after: Callable[[int], None] | None,
    ) -> Tensor:
        """Forward and backward of all members for one batch. `after` is called when a member has added its gradient."""
        images = self.precision.place(images)
        targets = targets.to(self.precision.device, non_blocking=True)
        by_teacher = self.teacher.scores(images, self.precision) if self.teacher is not None else None
        by_largest: Tensor | None = None
        shares = self._shares(members, len(images))
        losses = []
        for index, member in enumerate(members):
            mine = shares[index]
            with self.precision.autocast():
                scores = self._run(member, images[mine])
                learns_from = None if by_largest is None else by_largest[mine]
                taught = None if by_teacher is None else by_teacher[mine]
                loss = self._loss(scores, targets[mine], learns_from, taught)
            if member.role == LARGEST and self.config.distill != "none":
                by_largest = mean_scores(scores).detach()
            self.mover.scaler.scale(loss / parts).backward()
            losses.append(loss.detach().float() / parts)
            if after is not None:
                after(index)
        return torch.stack(losses)

    def _shares(self, members: Sequence[Member], images: int) -> list[slice]:
        """The images of each member: all of them, or for the sampled ones each a part."""
        sampled = sum(member.role == SAMPLED for member in members)
        if self.config.images == "shared" or sampled < 2:
            return [slice(None)] * len(members)
        found, number = [], 0
        for member in members:
            if member.role == SAMPLED:
                found.append(slice(images * number // sampled, images * (number + 1) // sampled))
                number += 1
            else:
                found.append(slice(None))
        return found

    def _run(self, member: Member, images: Tensor) -> Any:
        """Drop path and dropout are for the largest only: smaller networks need no more regularisation."""
        rates = (self.config.drop_path, self.config.dropout) if member.role == LARGEST else (0.0, 0.0)
        subnet = self.net.subnet(member.spec)
        if any((self.config.drop_path, self.config.dropout)):
            subnet.set_rates(*rates)
        if member.spec.distilled and member.role == LARGEST:
            subnet.set_distilled_training(self.teacher is not None)
        if not subnet.training:
            subnet.train()
        return self.runner(member)(resized(images, member.spec.size))

    def _loss(self, scores: Any, targets: Tensor, by_largest: Tensor | None, by_teacher: Tensor | None) -> Tensor:
        if by_largest is not None:
            if self.config.distill == "alpha":
                return alpha_divergence(mean_scores(scores), by_largest, self.config.alpha, self.config.alpha_clip)
            return soft_labels(mean_scores(scores), by_largest)
        if self.teacher is None or by_teacher is None:
            return soft_cross_entropy(mean_scores(scores), targets)
        return self.teacher.loss(scores, targets, by_teacher)

    def _exchange(self, first: Tensor | None, second: Tensor | None, mutual: bool) -> None:
        """The mean gradient of all processes, with conflicts solved: where there are groups, each is summed alone."""
        gradients = self.net.gradients
        if first is None or second is None:
            self.us.sum_(gradients)
        else:
            self.us.sum_(first), self.us.sum_(second)
            sizes = [parameter.numel() for parameter in self.net.parameters()]
            total = without_conflict(first.split(sizes), second.split(sizes), mutual)
            torch.cat(total, out=gradients)
        if self.us.world > 1:
            gradients /= self.us.world


def resized(images: Tensor, size: Size) -> Tensor:
    if tuple(images.shape[-2:]) == size:
        return images
    return F.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)
