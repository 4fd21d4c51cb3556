"""What a network answers on a data set, in one pass: shares of right answers, loss, and which class is taken for which.

Confusions are kept as pairs of classes with their counts, so that memory grows with the images and not with the square
of the classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernet.values import UserError

from ..data import DataError
from ..evaluation import Scores
from ..precision import Precision
from ..processes import Processes


class ScoresError(UserError, ValueError):
    """Answers that say nothing about a network."""


class Confused(NamedTuple):
    """So many images of one class were taken for the other."""

    label: int
    answer: int
    images: int


@dataclass(frozen=True)
class Confusion:
    """`labels`, `answers` and `counts`, int64, are of one length: a pair of classes stands there once, sorted."""

    classes: int
    labels: np.ndarray
    answers: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, classes: int, labels: np.ndarray, answers: np.ndarray) -> Confusion:
        """Of images, whose labels and answers these are."""
        return cls._of_codes(classes, labels.astype(np.int64) * classes + answers, np.ones(len(labels), np.int64))

    @classmethod
    def _of_codes(cls, classes: int, codes: np.ndarray, counts: np.ndarray) -> Confusion:
        found, where = np.unique(codes, return_inverse=True)
        sums = np.zeros(len(found), np.int64)
        np.add.at(sums, where, counts)
        return cls(classes, *np.divmod(found, classes), sums)

    def sum(self, us: Processes) -> Confusion:
        """Over all processes."""
        parts = us.gather((self.labels * self.classes + self.answers, self.counts))
        return self._of_codes(self.classes, *(np.concatenate(part) for part in zip(*parts, strict=True)))

    def matrix(self) -> np.ndarray:
        """A row for each label, a column for each answer."""
        dense = np.zeros((self.classes, self.classes), np.int64)
        dense[self.labels, self.answers] = self.counts
        return dense

    def images(self) -> np.ndarray:
        """Of each class."""
        return self._per_label(np.ones(len(self.labels), bool))

    def right(self) -> np.ndarray:
        """Of the images of each class."""
        return self._per_label(self.labels == self.answers)

    def mistakes(self) -> list[Confused]:
        """The pairs of different classes, the most frequent first, equal ones by class."""
        wrong = np.flatnonzero(self.labels != self.answers)
        order = wrong[np.argsort(-self.counts[wrong], kind="stable")]
        return [Confused(int(self.labels[i]), int(self.answers[i]), int(self.counts[i])) for i in order]

    def _per_label(self, chosen: np.ndarray) -> np.ndarray:
        sums = np.zeros(self.classes, np.int64)
        np.add.at(sums, self.labels[chosen], self.counts[chosen])
        return sums


class ClassScores(NamedTuple):
    scores: Scores
    confusion: Confusion


@torch.inference_mode()
def class_scores(
    net: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    classes: int,
    precision: Precision | None = None,
    us: Processes | None = None,
) -> ClassScores:
    """In evaluation mode, over the images of all processes."""
    precision, us = precision or Precision(), us or Processes()
    net.eval()
    total = torch.zeros(4, dtype=torch.float64, device=precision.device)
    bad = 0
    labels_seen: list[Tensor] = []
    answers_seen: list[Tensor] = []
    for images, labels in batches:
        labels = labels.to(precision.device, non_blocking=True)
        with precision.autocast():
            scores = net(precision.place(images))
        scores = scores.float()
        if scores.shape != (len(labels), classes):
            raise ScoresError(f"its outputs are {tuple(scores.shape)} for {len(labels)} images of {classes} classes")
        bad = int((~scores.isfinite()).any(1).sum())
        if bad:
            break  # all processes learn of it below
        five = scores.topk(min(5, classes), dim=1).indices
        right = five == labels[:, None]
        loss = F.cross_entropy(scores, labels, reduction="sum")
        seen = torch.tensor(len(labels), device=loss.device)
        total += torch.stack([right[:, 0].sum(), right.any(1).sum(), loss, seen])
        labels_seen.append(labels)
        answers_seen.append(five[:, 0])
    bad = int(us.totals([bad])[0])
    if bad:
        raise ScoresError(f"its outputs are not finite numbers, for {bad} images of one batch: nothing can be judged")
    us.sum_(total)
    first, within_five, loss_sum, count = total.tolist()
    if not count:
        raise DataError("there are no images to evaluate, or none could be read")
    confusion = Confusion.of(classes, _joined(labels_seen), _joined(answers_seen)).sum(us)
    return ClassScores(Scores(100 * first / count, 100 * within_five / count, loss_sum / count, int(count)), confusion)


def _joined(parts: list[Tensor]) -> np.ndarray:
    joined: np.ndarray = torch.cat(parts).cpu().numpy() if parts else np.zeros(0, np.int64)
    return joined
