"""How alike the accuracies of two networks are expected to be, and how that is learnt from evaluations.

The accuracy is a sum of parts of which each is a Gaussian process: a curve in the costs; trends in traits and bends; an
effect of each choice; a smooth function of costs and traits together, which learns which of them matter. How much each
part varies is chosen so that the evaluations are likely (maximum a posteriori): few of them give a plain model, and
many a rich one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .traits import Described

Array = np.ndarray
CONSTANT = 4.0
"""Variance of the mean of all networks, in units of the accuracies' own variance."""
REFERENCE_WEIGHT = 8.0
"""As many evaluations as the networks of the whole space count for, where it is asked what is usual."""
REACH = 3.0
"""By how many spreads costs may differ for the curve to have about the same height."""
DEGREE = 6
"""Of the polynomials that the curve is made of."""
STEPS = 60
"""Of the search for the most likely strengths, at most."""


class Usual(NamedTuple):
    """What is believed of the logarithm of a strength before anything was evaluated: a normal distribution."""

    middle: float
    spread: float


LINEAR = {
    "curve": Usual(0.0, 2.0),
    "traits": Usual(-1.0, 2.0),
    "bends": Usual(-2.5, 2.0),
    "choices of networks and stages": Usual(-2.5, 2.0),
    "choices of blocks": Usual(-2.5, 2.0),
}
"""The parts that are linear in something; the variance of each."""
SMOOTH, LENGTH, NOISE = Usual(-0.5, 1.5), Usual(0.9, 0.7), Usual(-4.0, 1.5)


@dataclass(frozen=True)
class Points:
    """Networks as the parts see them, in float64; `linear` has a matrix for each of LINEAR."""

    linear: tuple[Array, ...]
    smooth: Array

    def __getitem__(self, rows: slice | Array) -> Points:
        return Points(tuple(part[rows] for part in self.linear), self.smooth[rows])


class Scaling:
    """What is usual: middles and spreads of everything that describes networks, taken from those that were evaluated
    and, while there are few, from the whole space."""

    def __init__(self, reference: tuple[Described, Array], evaluated: tuple[Described, Array], of_slots: Array) -> None:
        numbers = len(reference[1]), len(evaluated[1])
        weights = np.repeat([REFERENCE_WEIGHT / numbers[0], 1.0], numbers)
        self._weights = weights / weights.sum()
        described = [np.concatenate(pair).astype(np.float64) for pair in zip(reference[0], evaluated[0], strict=True)]
        self.of_slots = of_slots
        self.frequency = self._weights @ described[0]
        self.costs = self._usual(np.concatenate([reference[1], evaluated[1]]))
        self.traits, self.bends = self._usual(described[1]), self._usual(described[2])
        self.norms = np.ones(len(LINEAR))
        all_points = self.points(Described(*described), np.concatenate([reference[1], evaluated[1]]))
        squares = [float(self._weights @ (part**2).sum(axis=1)) for part in all_points.linear]
        self.norms = np.sqrt(np.maximum(squares, 1e-6))

    def _usual(self, values: Array) -> tuple[Array, Array]:
        middle = self._weights @ values
        return middle, np.maximum(np.sqrt(self._weights @ (values - middle) ** 2), 0.02)

    def points(self, described: Described, log_costs: Array) -> Points:
        costs, traits, bends = self.scaled(described, log_costs)
        choices = described.choices - self.frequency
        linear = (curve(costs), traits, bends, choices[:, ~self.of_slots], choices[:, self.of_slots])
        shares = tuple(part / norm for part, norm in zip(linear, self.norms, strict=True))
        return Points(shares, np.concatenate([costs, traits], axis=1))

    def scaled(self, described: Described, log_costs: Array) -> tuple[Array, Array, Array]:
        """Costs, traits and bends around 0 with a spread of 1."""
        values = (log_costs, described.traits, described.bends)
        usual = (self.costs, self.traits, self.bends)
        costs, traits, bends = ((value - at) / by for value, (at, by) in zip(values, usual, strict=True))
        return costs, traits, bends


def curve(costs: Array) -> Array:
    """Features whose products are exp(-|a - b|²/2) for costs a and b that are shares of the reach: its power series,
    which needs few terms where costs are not many reaches away."""
    shares = costs / REACH
    powers = [np.exp(-0.5 * (shares**2).sum(axis=1, keepdims=True))]
    found = list(powers)
    for degree in range(1, DEGREE + 1):
        grown = [power * shares[:, :1] / np.sqrt(degree - by) for by, power in enumerate(powers)]
        powers = [*grown, powers[-1] * shares[:, 1:] / np.sqrt(degree)]
        found += powers
    return np.concatenate(found, axis=1)


class Strengths(NamedTuple):
    """Variances and lengths of the parts. Accuracies have about the variance 1."""

    linear: Array
    smooth: float
    lengths: Array
    noise: float

    @classmethod
    def of(cls, logs: Array) -> Strengths:
        found, n = np.exp(logs), len(LINEAR)
        return cls(found[:n], found[n], found[n + 1 : -1], found[-1])

    @property
    def reaches(self) -> Array:
        """How far networks may differ in each of costs and traits to be alike by exp(-1/2) in the smooth part."""
        return self.lengths * np.sqrt(len(self.lengths))

    def covariance(self, first: Points, second: Points) -> Array:
        """Without noise: a row for each of the first, a column for each of the second."""
        distances = squared_distances(first.smooth / self.reaches, second.smooth / self.reaches)
        total = CONSTANT + self.smooth * np.exp(-0.5 * distances)
        for variance, one, other in zip(self.linear, first.linear, second.linear, strict=True):
            total += variance * (one @ other.T)
        return total

    def variance(self, points: Points) -> Array:
        """Of each point: the diagonal of the covariance of points with themselves."""
        linear = [variance * (part**2).sum(axis=1) for variance, part in zip(self.linear, points.linear, strict=True)]
        return CONSTANT + self.smooth + np.sum(linear, axis=0)


def squared_distances(first: Array, second: Array) -> Array:
    squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1)
    return np.maximum(squares - 2 * (first @ second.T), 0)


def learn(points: Points, target: Array) -> Strengths:
    """The strengths under which targets of about mean 0 and variance 1 are likely."""
    import scipy.optimize

    lengths = [LENGTH] * points.smooth.shape[1]
    usual, width = np.array([*LINEAR.values(), SMOOTH, *lengths, NOISE]).T
    likelihood = _Likelihood(points, target)

    def unlikely(logs: Array) -> tuple[float, Array]:
        value, slope = likelihood(Strengths.of(logs))
        off = (logs - usual) / width
        return value + 0.5 * float(off @ off), slope + off / width

    bounds = list(zip(usual - 4 * width, usual + 4 * width, strict=True))
    found = scipy.optimize.minimize(
        unlikely, usual, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS}
    )
    return Strengths.of(found.x)


class _Likelihood:
    """The negative logarithm of the likelihood of targets, and its slope in the logarithms of the strengths."""

    def __init__(self, points: Points, target: Array) -> None:
        self.points, self.target = points, target
        self.products = [part @ part.T for part in points.linear]

    def __call__(self, strengths: Strengths) -> tuple[float, Array]:
        smooth = self.points.smooth / strengths.reaches
        by_smooth = strengths.smooth * np.exp(-0.5 * squared_distances(smooth, smooth))
        total = CONSTANT + by_smooth
        by_part = list(zip(strengths.linear, self.products, strict=True))
        for variance, product in by_part:
            total += variance * product
        factor, inverse = inverted(total, strengths.noise)
        weights = inverse @ self.target
        value = 0.5 * float(self.target @ weights) + float(np.log(np.diag(factor)).sum())
        lack = inverse - np.outer(weights, weights)
        linear = [variance * np.vdot(lack, product) for variance, product in by_part]
        off = lack * by_smooth
        lengths = off.sum(axis=1) @ smooth**2 - (smooth * (off @ smooth)).sum(axis=0)
        slope = [0.5 * np.array([*linear, off.sum()]), lengths, [0.5 * strengths.noise * np.trace(lack)]]
        return value, np.concatenate(slope)


def inverted(covariance: Array, noise: float) -> tuple[Array, Array]:
    """The lower Cholesky factor of a covariance with noise, and the inverse of that covariance."""
    factor = np.linalg.cholesky(covariance + noise * np.eye(len(covariance)))
    half = np.linalg.inv(factor)
    return factor, half.T @ half
