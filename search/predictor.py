"""Accuracies of networks that were not evaluated, from those that were: 100,000 in a second, each with its error.

A Gaussian process over costs, traits and choices; see similarity.py for what it takes networks to have in common.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .codes import Codes
from .costs import Costs
from .posterior import Posterior, evenly
from .similarity import Scaling
from .traits import Described, Traits

Array = np.ndarray
MOST = 2048
"""Evaluations that a fit uses; of more, so many that are evenly spread over their order."""
ROWS = 1024
"""Networks that are predicted in one go, so that what they need stays in the cache."""


class Predictor:
    """`fit` on evaluated networks, `predict` others. What is predicted depends on the last fit alone."""

    def __init__(self, codes: Codes, costs: Costs) -> None:
        self.costs, self.traits = costs, Traits(codes)
        self._columns = [costs.column("params"), costs.column("macs")]
        self._reference = self._described(codes.draw(np.random.default_rng(0), 1024))
        self._posterior: Posterior | None = None

    def fit(self, codes: Array, accuracy: Array) -> None:
        """A network that is given twice counts as one, with the mean of its accuracies."""
        accuracy = np.asarray(accuracy, dtype=np.float64)
        if accuracy.shape != (len(codes),) or not len(codes):
            raise ValueError(f"{len(codes)} networks and accuracies of shape {accuracy.shape} are nothing to fit")
        bad = ~np.isfinite(accuracy)
        if bad.any():
            raise ValueError(f"accuracy[{int(bad.argmax())}] is {accuracy[bad][0]}, not a finite number")
        codes, accuracy = _merged(codes, accuracy)
        used = evenly(len(codes), MOST)
        described = self._described(codes[used])
        scaling = Scaling(self._reference, described, self.traits.of_slots)
        self._posterior = Posterior(scaling, scaling.points(*described), accuracy[used])

    def predict(self, codes: Array, costs: Array | None = None) -> tuple[Array, Array]:
        """Mean and standard error of each network's accuracy. `costs` are those of the codes, where they are known.

        The error is that of what the network is worth; what an evaluation shows differs from that by `noise` too.
        """
        means, errors = [np.zeros(0)], [np.zeros(0)]
        for described, log_costs in self._chunks(codes, costs):
            mean, error = self._known.predict(described, log_costs)
            means.append(mean)
            errors.append(error)
        return np.concatenate(means), np.concatenate(errors)

    def mean(self, codes: Array, costs: Array | None = None) -> Array:
        """That of `predict`, in half the time."""
        return np.concatenate([np.zeros(0), *(self._known.mean(*chunk) for chunk in self._chunks(codes, costs))])

    @property
    def noise(self) -> float:
        """Standard deviation of what an evaluation shows and nothing that is known of the network explains."""
        return self._known.noise

    def scores(self) -> dict[str, float]:
        """How well evaluations are predicted that are left out one at a time: Kendall's `tau`, `spearman` and
        `mean_absolute_error` over `evaluations` different networks; NaN where they are too few, or all equal."""
        from scipy import stats

        left_out, shown = self._known.left_out, self._known.accuracy
        tau = spearman = error = float("nan")
        if len(shown) > 1:
            error = float(np.abs(left_out - shown).mean())
        if len(shown) > 2 and np.ptp(shown) > 0 and np.ptp(left_out) > 0:
            tau = float(stats.kendalltau(left_out, shown).statistic)
            spearman = float(stats.spearmanr(left_out, shown).statistic)
        return {"evaluations": len(shown), "tau": tau, "spearman": spearman, "mean_absolute_error": error}

    @property
    def _known(self) -> Posterior:
        if self._posterior is None:
            raise ValueError("the predictor was not fitted on any evaluations yet")
        return self._posterior

    def _chunks(self, codes: Array, costs: Array | None) -> Iterator[tuple[Described, Array]]:
        for start in range(0, len(codes), ROWS):
            rows = slice(start, start + ROWS)
            yield self._described(codes[rows], None if costs is None else costs[rows])

    def _described(self, codes: Array, costs: Array | None = None) -> tuple[Described, Array]:
        costs = self.costs(codes) if costs is None else costs
        return self.traits(codes), np.log(np.maximum(costs[:, self._columns], 1))


def _merged(codes: Array, accuracy: Array) -> tuple[Array, Array]:
    """Different networks in the order in which they came first, with their mean accuracies."""
    _, first, which = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    sums = np.bincount(which.ravel(), weights=accuracy)
    order = np.argsort(first)
    return codes[first[order]], (sums / np.bincount(which.ravel()))[order]
