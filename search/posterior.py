"""What evaluations say about networks, folded into a few matrices so that a network is predicted in microseconds."""

from __future__ import annotations

import numpy as np

from .similarity import CONSTANT, Points, Scaling, curve, inverted, learn
from .traits import Described

Array = np.ndarray
LEARNT_FROM = 256
"""Evaluations from which the strengths of the parts are learnt; of more, so many that are evenly spread."""
DIRECTIONS = 128
"""Combinations of evaluations that errors take into account, the most telling ones; without the others, errors are
rather too large."""
SPREAD = 1.0
"""Percentage points by which accuracies are taken to differ, as one observation beside those that were made."""
BELIEF = 4.0
"""As many evaluations as it counts for that errors are as large as the strengths make them."""
OUTLIER = 3.0
"""An error of more standard deviations counts as one of so many."""


class Posterior:
    """Accuracies are in percent, and all else is in units of their deviation."""

    def __init__(self, scaling: Scaling, points: Points, accuracy: Array) -> None:
        self.scaling, self.accuracy = scaling, accuracy
        self._middle = float(accuracy.mean())
        squares = float(((accuracy - self._middle) ** 2).sum())
        self._unit = float(np.sqrt((squares + SPREAD**2) / len(accuracy)))
        target = (accuracy - self._middle) / self._unit
        learnt = evenly(len(target), LEARNT_FROM)
        self.strengths = learn(points[learnt], target[learnt])
        self.caution = _caution(points[learnt], target[learnt])
        """By which errors are multiplied, since the strengths are learnt too and fit what they were learnt from."""
        covariance = self.strengths.covariance(points, points)
        _, inverse = inverted(covariance, self.strengths.noise)
        weights = inverse @ target
        self.left_out = self._middle + self._unit * (target - weights / np.diag(inverse))
        """What is predicted for each evaluation from all others (Rasmussen and Williams 2006, section 5.4.2)."""
        self._fold(points, np.column_stack([weights, _directions(covariance, self.strengths.noise)]))

    @property
    def noise(self) -> float:
        return self._unit * float(np.sqrt(self.strengths.noise))

    def mean(self, described: Described, log_costs: Array) -> Array:
        dense, alike = self._seen(described, log_costs)
        found = described.choices @ self._choices[:, 0] + dense @ self._dense[:, 0] + alike @ self._alike[:, 0]
        return self._middle + self._unit * found.astype(np.float64)

    def predict(self, described: Described, log_costs: Array) -> tuple[Array, Array]:
        dense, alike = self._seen(described, log_costs)
        found = described.choices @ self._choices
        prior = found[:, -1] + dense**2 @ self._dense_variance
        found = found[:, :-1] + dense @ self._dense + alike @ self._alike
        variance = np.maximum(prior - (found[:, 1:] ** 2).sum(axis=1), 0).astype(np.float64)
        noise = self.strengths.noise
        variance = self.caution**2 * (variance + noise) - noise
        return self._middle + self._unit * found[:, 0].astype(np.float64), self._unit * np.sqrt(variance)

    def _seen(self, described: Described, log_costs: Array) -> tuple[Array, Array]:
        """What the trends are linear in, with a 1, and how alike each network is to each evaluated one."""
        costs, traits, bends = self.scaling.scaled(described, log_costs)
        ones = np.ones((len(costs), 1))
        dense = np.concatenate([curve(costs), traits, bends, ones], axis=1).astype(np.float32)
        return dense, self._bells(np.concatenate([costs, traits], axis=1))

    def _fold(self, points: Points, directions: Array) -> None:
        """Sums over evaluations are done here, once, wherever a part is linear."""
        strengths, scaling = self.strengths, self.scaling
        parts = [
            variance / norm * (part.T @ directions)
            for variance, norm, part in zip(strengths.linear, scaling.norms, points.linear, strict=True)
        ]
        variances = strengths.linear / scaling.norms**2
        of_choices = np.where(scaling.of_slots, variances[-1], variances[-2])
        choices = np.zeros((len(scaling.of_slots), directions.shape[1]))
        choices[~scaling.of_slots], choices[scaling.of_slots] = parts[-2:]
        constant = CONSTANT * directions.sum(axis=0) - scaling.frequency @ choices
        prior = of_choices * (1 - 2 * scaling.frequency)
        prior_constant = CONSTANT + strengths.smooth + of_choices @ scaling.frequency**2
        self._choices = np.column_stack([choices, prior]).astype(np.float32)
        self._dense = np.concatenate([*parts[:-2], constant[None]]).astype(np.float32)
        repeated = np.repeat(variances[:-2], [part.shape[0] for part in parts[:-2]])
        self._dense_variance = np.append(repeated, prior_constant).astype(np.float32)
        self._alike = directions.astype(np.float32)
        self._bells = _Bells(points.smooth, strengths.smooth, strengths.reaches)


class _Bells:
    """How alike values are to each of some centres: `height` at a distance of 0. The exponents of all pairs are one
    matrix product, since -|a - b|²/2 = ab - |a|²/2 - |b|²/2."""

    def __init__(self, centres: Array, height: float, reaches: Array) -> None:
        self._scale, centres = (1 / reaches).astype(np.float32), centres / reaches
        squares = -0.5 * (centres**2).sum(axis=1) + np.log(height)
        self._centres = np.vstack([centres.T, np.ones(len(centres)), squares]).astype(np.float32)

    def __call__(self, values: Array) -> Array:
        stretched = values.astype(np.float32) * self._scale
        squares = -0.5 * np.einsum("ij,ij->i", stretched, stretched)
        sides = np.column_stack([stretched, squares, np.ones(len(stretched), dtype=np.float32)])
        exponents = sides @ self._centres
        return np.exp(exponents, out=exponents)


def evenly(number: int, most: int) -> Array:
    """The indices of all, or of `most` that are evenly spread."""
    return np.arange(number) if number <= most else np.linspace(0, number - 1, most).astype(np.int64)


def _directions(covariance: Array, noise: float) -> Array:
    """Columns d so that what evaluations take from a network's variance is the sum of (d @ its covariances) squared:
    the leading eigenvectors of the covariance with noise."""
    import scipy.linalg

    number = len(covariance)
    leading = (max(0, number - DIRECTIONS), number - 1)
    values, vectors = scipy.linalg.eigh(covariance, subset_by_index=leading)
    return vectors / np.sqrt(np.maximum(values, 0) + noise)


def _caution(points: Points, target: Array) -> float:
    """How much larger errors are than they seem, where strengths are learnt from half of the evaluations, and each one
    of the other half is predicted from all others."""
    number = len(target)
    if number < 8:
        return 1.0
    squares = 0.0
    for learnt, judged in ((0, 1), (1, 0)):
        strengths = learn(points[learnt::2], target[learnt::2])
        _, inverse = inverted(strengths.covariance(points, points), strengths.noise)
        errors = (inverse @ target) ** 2 / np.diag(inverse)
        squares += float(np.minimum(errors[judged::2], OUTLIER**2).sum())
    lack = max(0.0, (squares - number) / (number + BELIEF))
    return float(np.sqrt(1 + lack / 2))  # half of it, as strengths that are learnt from all fit better
