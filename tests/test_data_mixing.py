"""Mixup and cutmix: what the image shows and what the target says are the same mixture."""

import numpy as np
import pytest
import torch

from training.config import AugmentConfig
from training.data import Mixer

CLASSES = 5


def one_hot_images(labels, side=12):
    """Of class c, channel c is 1: the mean of a mixed image over its pixels is its mixture of classes."""
    return torch.eye(CLASSES)[labels][:, :, None, None].repeat(1, 1, side, side)


@pytest.mark.parametrize("number", [6, 7, 1])
@pytest.mark.parametrize("augment", [{"mixup": 0.8}, {"cutmix": 1.0}, {"mixup": 0.8, "cutmix": 1.0}])
def test_targets_are_what_the_images_show(augment, number):
    mixer = Mixer(AugmentConfig(**augment), CLASSES, 0.0)
    shares = set()
    for seed in range(20):
        labels = torch.arange(number) % CLASSES
        images, targets = mixer(one_hot_images(labels), labels, (seed, 3))
        assert targets.dtype == torch.float32
        torch.testing.assert_close(targets.sum(1), torch.ones(number))
        torch.testing.assert_close(images.mean((2, 3)), targets, atol=1e-6, rtol=0)
        shares.add(round(float(targets[1 % number].max()), 4))
    assert len(shares) > 10 or number == 1, "every seed mixes differently"


def test_the_same_seed_mixes_alike_and_nothing_else_matters():
    mixer = Mixer(AugmentConfig(mixup=0.8, cutmix=1.0), CLASSES, 0.1)
    labels = torch.arange(8) % CLASSES
    np.random.seed(1)
    before = np.random.get_state()[1].tolist()
    first = mixer(one_hot_images(labels), labels, (1, 2, 3))
    assert np.random.get_state()[1].tolist() == before
    np.random.rand(5)
    again = Mixer(AugmentConfig(mixup=0.8, cutmix=1.0), CLASSES, 0.1)(one_hot_images(labels), labels, (1, 2, 3))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    other = mixer(one_hot_images(labels), labels, (1, 2, 4))
    assert not torch.equal(first[1], other[1])


def test_probabilities():
    """Half of the batches mixed, and of these a quarter by cutmix: its images stay made of zeros and ones."""
    mixer = Mixer(AugmentConfig(mixup=1.0, cutmix=1.0, mix_probability=0.5, cutmix_share=0.25), 2, 0.0)
    labels = torch.tensor([0, 1])
    kinds = {"none": 0, "mixup": 0, "cutmix": 0}
    for seed in range(600):
        images = torch.eye(2)[:, :, None, None].repeat(1, 1, 64, 64)
        before = images.clone()
        mixed, _ = mixer(images, labels, (seed,))
        whole = bool(((mixed == 0) | (mixed == 1)).all())
        kinds["none" if torch.equal(mixed, before) else "cutmix" if whole else "mixup"] += 1
    assert 240 < kinds["none"] < 360
    assert 40 < kinds["cutmix"] < 110


@pytest.mark.parametrize("augment", [{}, {"mixup": 0.8, "mix_probability": 0.0}])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_without_mixing_labels_are_smoothed(augment, smoothing):
    mixer = Mixer(AugmentConfig(**augment), CLASSES, smoothing)
    labels = torch.tensor([3, 0, 4])
    images = torch.randn(3, 3, 4, 4)
    same, targets = mixer(images, labels, (0,))
    assert not mixer.mixes
    assert same is images
    wanted = torch.eye(CLASSES)[labels] * (1 - smoothing) + smoothing / CLASSES
    torch.testing.assert_close(targets, wanted)


def test_images_are_mixed_in_place():
    images = torch.rand(4, 3, 8, 8)
    before = images.clone()
    mixed, _ = Mixer(AugmentConfig(mixup=1.0), CLASSES, 0.0)(images, torch.arange(4), (0,))
    assert mixed is images
    assert not torch.equal(images, before)
