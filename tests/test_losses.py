"""Losses against their definitions; conflicts against vectors in the plane."""

import math

import pytest
import torch
from torch.nn import functional as F

from supernet import load_space, load_spec
from training.conflict import attention_share, two_groups, without_conflict
from training.losses import alpha_divergence, soft_cross_entropy, soft_labels


def test_soft_cross_entropy_is_torchs():
    scores, targets = torch.randn(6, 5), torch.rand(6, 5).softmax(1)
    torch.testing.assert_close(soft_cross_entropy(scores, targets), F.cross_entropy(scores, targets))


def test_soft_labels_pull_towards_the_teacher():
    teacher = torch.randn(6, 5)
    for temperature in (1.0, 3.0):
        student = teacher.clone().requires_grad_()
        soft_labels(student, teacher, temperature).backward()
        assert student.grad.abs().max() < 1e-6  # the same scores are the minimum
    student = torch.zeros(6, 5, requires_grad=True)
    soft_labels(student, teacher).backward()
    expected = (torch.full((6, 5), 0.2) - teacher.softmax(1)) / 6
    torch.testing.assert_close(student.grad, expected)


def _divergence(log_p, log_q, alpha):
    """By the definition, with autograd through all of it."""
    p, q = log_p.exp(), log_q.exp()
    if alpha == 0:
        return (q * (log_q - log_p)).sum(1)
    if alpha == 1:
        return (p * (log_p - log_q)).sum(1)
    return (q * ((p / q) ** alpha - 1)).sum(1) / (alpha * (alpha - 1))


@pytest.mark.parametrize("alphas", [(-1.0, 1.0), (0.0, 1.0), (-0.5, 2.0), (0.5, 0.0)])
def test_alpha_divergence_without_clipping_is_the_larger_divergence(alphas):
    torch.manual_seed(1)
    teacher = torch.randn(7, 4, dtype=torch.double)
    ours = torch.randn(7, 4, dtype=torch.double, requires_grad=True)
    exact = ours.detach().clone().requires_grad_()
    log_p, log_q = teacher.log_softmax(1), exact.log_softmax(1)
    expected = torch.stack([_divergence(log_p, log_q, alpha) for alpha in alphas]).max(0).values.mean()
    found = alpha_divergence(ours, teacher, alphas, clip=1e9)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
    found.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, exact.grad, rtol=1e-4, atol=1e-6)


def test_alpha_divergence_is_bounded_by_its_clip():
    teacher = torch.tensor([[40.0, 0.0]])
    for alphas in ((-1.0, 1.0), (0.0, 2.0)):
        student = torch.tensor([[-40.0, 0.0]], requires_grad=True)
        loss = alpha_divergence(student, teacher, alphas, clip=5.0)
        loss.backward()
        assert math.isfinite(loss.item())
        assert student.grad.abs().max() <= 5.0


def test_conflicting_components_go():
    first, second = [torch.tensor([1.0, 0.0]), torch.tensor([1.0])], [torch.tensor([-1.0, 1.0]), torch.tensor([2.0])]
    total = without_conflict(first, second, mutual=False)
    torch.testing.assert_close(total[0], torch.tensor([0.5, 0.5]) + second[0])  # only the first yields
    torch.testing.assert_close(total[1], torch.tensor([3.0]))
    total = without_conflict(first, second, mutual=True)
    torch.testing.assert_close(total[0], torch.tensor([0.5, 0.5]) + torch.tensor([0.0, 1.0]))


def test_without_a_gradient_there_is_no_conflict():
    total = without_conflict([torch.zeros(3)], [torch.ones(3)], mutual=True)
    torch.testing.assert_close(total[0], torch.ones(3))


def test_groups_by_attention():
    space = load_space("iformer_small")
    largest, smallest = space.largest(), space.smallest()
    assert attention_share(load_spec("lowformer_e1")) == 0
    assert 0.9 < attention_share(load_spec("lowformer_b0")) <= 1
    conv = next(spec for _, spec in space.smaller(largest) if attention_share(spec) < attention_share(largest))
    share = attention_share(largest), attention_share(smallest)
    assert two_groups([largest, smallest, conv], "largest") == [True, False, False]
    assert two_groups([largest, smallest], "attention") == [share[0] > share[1], share[1] > share[0]]
    assert two_groups([largest, largest], "attention") == [False, False]
