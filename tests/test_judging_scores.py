"""What a network answers: right against scikit-learn, the same on one process and on several, and never silently not
a number. How fast it answers."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, log_loss, top_k_accuracy_score
from torch import nn

from training.data import DataError
from training.judging import Confusion, class_scores, throughput
from training.judging.confusion_picture import block_shares
from training.judging.scores import Confused, ScoresError
from training.processes import Processes

CLASSES = (2, 5, 7, 1000)


class Answers(nn.Module):
    """Its images are its outputs."""

    def forward(self, images):
        return images.flatten(1)


def random_answers(classes, images=400, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(images, classes, generator=generator)
    labels = torch.randint(classes, (images,), generator=generator)
    scores[torch.arange(images), labels] += 1.5
    return scores, labels


def batches(scores, labels, size=64):
    parts = zip(scores.split(size), labels.split(size), strict=True)
    return [(part[:, :, None, None], own) for part, own in parts]


@pytest.mark.parametrize("classes", CLASSES)
def test_as_sklearn_counts(classes):
    scores, labels = random_answers(classes)
    found, confusion = class_scores(Answers(), batches(scores, labels), classes)
    names = np.arange(classes)
    answers, all_scores = scores.argmax(1).numpy(), scores.double().numpy()
    wanted = confusion_matrix(labels.numpy(), answers, labels=names)
    assert np.array_equal(confusion.matrix(), wanted)
    assert np.array_equal(confusion.images(), np.bincount(labels, minlength=classes))
    assert np.array_equal(confusion.right(), np.diag(wanted))
    assert found.top1 == pytest.approx(100 * np.mean(answers == labels.numpy()), rel=1e-12)
    five = 1.0
    if classes > 5:
        five = top_k_accuracy_score(labels.numpy(), all_scores, k=5, labels=names)
    assert found.top5 == pytest.approx(100 * five, rel=1e-12)
    assert found.loss == pytest.approx(log_loss(labels.numpy(), scores.double().softmax(1), labels=names), rel=1e-5)
    assert found.images == 400


def test_mistakes_come_by_frequency():
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2])
    answers = np.array([1, 1, 0, 2, 1, 0, 0, 0, 0])
    confusion = Confusion.of(3, labels, answers)
    expected = [Confused(2, 0, 3), Confused(0, 1, 2), Confused(0, 2, 1), Confused(1, 0, 1)]
    assert confusion.mistakes() == expected


def test_many_classes_need_no_matrix():
    classes = 10**6
    confusion = Confusion.of(classes, np.array([5, 5, 999_999]), np.array([5, 7, 999_999]))
    assert confusion.mistakes() == [Confused(5, 7, 1)]
    assert confusion.images().sum() == 3
    assert confusion.right()[999_999] == 1


def test_blocks_add_up():
    scores, labels = random_answers(7, images=200)
    confusion = class_scores(Answers(), batches(scores, labels), 7).confusion
    matrix = np.pad(confusion.matrix(), (0, 2)).reshape(3, 3, 3, 3).sum((1, 3))
    assert np.allclose(block_shares(confusion, 3), 100 * matrix / matrix.sum(1, keepdims=True))
    only_one = Confusion.of(3, np.array([1]), np.array([2]))
    assert np.array_equal(np.isnan(block_shares(only_one, 1)).all(1), [True, False, True])


class OneOfTwo(Processes):
    """With what the other process found at hand; what it is asked comes in the same order on both."""

    def __init__(self, other):
        super().__init__()
        object.__setattr__(self, "told", [])
        object.__setattr__(self, "other", other)

    def _exchange(self, mine):
        self.told.append(mine)
        return [mine] if self.other is None else [mine, self.other[len(self.told) - 1]]

    def totals(self, values):
        return [sum(parts) for parts in zip(*self._exchange(list(values)), strict=True)]

    def sum_(self, tensor):
        return tensor.copy_(sum(self._exchange(tensor.clone())))

    def gather(self, obj):
        return self._exchange(obj)


def test_two_processes_are_one():
    scores, labels = random_answers(9, images=101)
    whole = class_scores(Answers(), batches(scores, labels), 9)
    second = OneOfTwo(None)
    class_scores(Answers(), batches(scores[1::2], labels[1::2]), 9, us=second)
    first = class_scores(Answers(), batches(scores[::2], labels[::2]), 9, us=OneOfTwo(second.told))
    assert np.array_equal(first.confusion.matrix(), whole.confusion.matrix())
    assert first.scores == pytest.approx(whole.scores, rel=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_outputs_that_are_no_numbers(bad):
    scores, labels = random_answers(4, images=100)
    scores[70, 2] = bad
    with pytest.raises(ScoresError, match="not finite numbers, for 1 images"):
        class_scores(Answers(), batches(scores, labels), 4)


def test_no_images():
    with pytest.raises(DataError, match="no images"):
        class_scores(Answers(), [], 4)


def test_outputs_for_other_classes():
    scores, labels = random_answers(4, images=10)
    with pytest.raises(ScoresError, match=r"\(10, 4\) for 10 images of 5 classes"):
        class_scores(Answers(), batches(scores, labels), 5)


class Slow(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = []

    def forward(self, images):
        self.calls.append(tuple(images.shape))
        torch.randn(300, 300) @ torch.randn(300, 300)
        return images


def test_throughput_is_of_whole_rounds():
    net = Slow()
    net.train()
    found = throughput(net, (8, 6), in_chans=1, batch_size=5, rounds=4, round_s=0.01)
    assert set(net.calls) == {(5, 1, 8, 6)}
    assert not net.training
    assert len(found.rounds) == 4
    assert found.batch_size == 5
    assert min(found.rounds) <= found.images_per_second <= max(found.rounds)
    assert found.spread >= 0
    assert (len(net.calls) - 3) % 4 == 0
