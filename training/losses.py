"""What a subnet learns from labels, and from another network's scores."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor
from torch.nn import functional as F


def soft_cross_entropy(scores: Tensor, targets: Tensor) -> Tensor:
    """Mean over the batch; `targets` are probabilities (batch, classes)."""
    return -(targets * F.log_softmax(scores.float(), dim=-1)).sum(dim=-1).mean()


def mean_scores(scores: Any) -> Tensor:
    """Of both classifiers, where a network in distilled training gives two."""
    mean: Tensor = (scores[0] + scores[1]) / 2 if isinstance(scores, tuple) else scores
    return mean


def soft_labels(scores: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """Cross-entropy with the teacher's probabilities, both at that temperature; scaled so that gradients keep their
    size (Hinton et al. 2015)."""
    targets = (teacher.float() / temperature).softmax(dim=-1)
    return soft_cross_entropy(scores.float() / temperature, targets) * temperature**2


def alpha_divergence(scores: Tensor, teacher: Tensor, alpha: tuple[float, float], clip: float) -> Tensor:
    """AlphaNet (Wang et al. 2021, section 4): of the divergences of two alphas, for each image the larger one.

    A negative alpha punishes a student that is sure where the teacher is not, a positive one the opposite. `clip`
    bounds the importance weights (p / q)^alpha, without which a single image can blow up the gradient.
    """
    log_q = F.log_softmax(scores.float(), dim=-1)
    log_p = F.log_softmax(teacher.float(), dim=-1).detach()
    values, pulls = zip(*(_divergence(log_p, log_q, one, clip) for one in alpha), strict=True)
    first = values[0] > values[1]
    value, pull = values[0].where(first, values[1]), pulls[0].where(first, pulls[1])
    return (value + pull - pull.detach()).mean()


def _divergence(log_p: Tensor, log_q: Tensor, alpha: float, clip: float) -> tuple[Tensor, Tensor]:
    """For each image, D(p || q) = sum q f(p / q) with f(r) = (r^alpha - 1) / (alpha (alpha - 1)), without gradient; and
    a term that has its gradient: -sum q rho(r) log q, where rho = r f' - f up to a constant and only log q has one.
    At alpha 0 and 1 the limits are taken: KL(q || p) and KL(p || q)."""
    q, log_r = log_q.detach().exp(), log_p - log_q.detach()
    if abs(alpha) < 1e-3:
        bounded = log_r.clamp(max=math.log(clip))
        f, rho = -bounded, bounded
    elif abs(alpha - 1) < 1e-3:
        r = log_r.exp().clamp(max=clip)
        f, rho = r * log_r, r
    else:
        r_alpha = (alpha * log_r).exp().clamp(max=clip)
        f, rho = (r_alpha - 1) / (alpha * (alpha - 1)), r_alpha / alpha
    return (q * f).sum(dim=-1), -(q * rho * log_q).sum(dim=-1)
