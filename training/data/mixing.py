"""Mixup and cutmix of a batch, by timm, with random numbers that follow from a seed."""

from __future__ import annotations

import numpy as np
import timm.data
import torch
from timm.data.mixup import mixup_target
from torch import Tensor

from ..config import AugmentConfig
from ..randomness import Purpose, seed_from


class _AnyNumber(timm.data.Mixup):
    """timm's refuses odd batches, although the middle image may well meet itself."""

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        share = self._mix_batch(images)
        return images, mixup_target(labels, self.num_classes, share, self.label_smoothing)


class Mixer:
    """Mixes each image with the one at the other end of the batch; one draw for the whole batch. Smooths the labels.

    Without mixup and cutmix the images stay as they are and only labels are smoothed.
    """

    def __init__(self, augment: AugmentConfig, num_classes: int, label_smoothing: float) -> None:
        self.mixes = (augment.mixup > 0 or augment.cutmix > 0) and augment.mix_probability > 0
        self._num_classes, self._label_smoothing = num_classes, label_smoothing
        if self.mixes:
            self._mixup = _AnyNumber(
                mixup_alpha=augment.mixup,
                cutmix_alpha=augment.cutmix,
                prob=augment.mix_probability,
                switch_prob=augment.cutmix_share,
                label_smoothing=label_smoothing,
                num_classes=num_classes,
            )

    def __call__(self, images: Tensor, labels: Tensor, seed: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """The images, mixed IN PLACE, and soft targets (batch, num_classes) in float32 on their device.

        What is drawn follows from `seed`, and the global generators stay as they were. Partners come from the batch
        that is handed in: a process mixes among its own images.
        """
        labels = labels.to(images.device)
        if not self.mixes:
            targets = mixup_target(labels, self._num_classes, 1.0, self._label_smoothing)
            return images, targets.to(torch.float32)
        state = np.random.get_state()
        try:
            np.random.seed(seed_from(*seed, Purpose.MIX) & 0xFFFFFFFF)
            images, targets = self._mixup(images, labels)
        finally:
            np.random.set_state(state)
        return images, targets.to(torch.float32)
