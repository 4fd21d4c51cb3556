"""The fit of a cost model to published latencies: rates of work, a factor for each chip, an offset for each source.

    ln ms = ln(overhead + work and weights of the network at the rates) + chip + source + error

Rates are positive and have weak priors, so that a rate the data say nothing of stays near what the hardware promises.
Sources measured the same network on the same phone up to 45 % apart; their offsets are drawn towards zero and left out
of estimates, which are for the average source. Errors beyond `DOUBT` count linearly: a network that fell
off the Neural Engine must not bend the rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .devices import CHIPS, REFERENCE_CHIP
from .forms import Array, Form

Names = NDArray[np.str_]
Rows = NDArray[np.bool_]

SHARPNESS = 4
"""Of the softened maximum of work and streamed weights."""
NOISE = 0.2
"""Expected size of an error, in units of ln ms."""
DOUBT = 0.2
CHIP_SPREAD = 0.5
SOURCE_SPREAD = 0.15
STEPS = 60
ENOUGH = 1e-8
"""The part of the loss that a last step gains."""


@dataclass(frozen=True)
class Data:
    """Records as columns: rows of `amounts` are those of the network; `family`, `chip`, `source` are names."""

    amounts: Array
    ms: Array
    family: Names
    chip: Names
    source: Names

    def where(self, chosen: Rows) -> Data:
        return Data(*(column[chosen] for column in vars(self).values()))


@dataclass(frozen=True)
class Fitted:
    """`rates` in the order of the form's terms; `chips` and `sources` as logarithms."""

    form: Form
    rates: Array
    chips: dict[str, float]
    sources: dict[str, float]

    def estimates(self, amounts: Array, chips: Sequence[str] | Names) -> Array:
        """Milliseconds of networks on chips, one for each row."""
        return np.asarray(np.exp(_log_ms(self.form, self.rates, amounts)[0] + [self.chips[chip] for chip in chips]))


def fit(form: Form, data: Data, start: Array | None = None) -> Fitted:
    """The most probable rates and offsets. `start` is rates to begin at, such as those of a similar fit."""
    problem = _Problem.of(form, data)
    values = problem.centre.copy()
    if start is not None:
        values[: len(start)] = np.log(start)
    loss, matrix, pull = problem.at(values)
    damper = 1e-3
    for _ in range(STEPS):
        trial = values + np.linalg.solve(matrix + damper * np.diag(np.diag(matrix)), pull)
        trial_loss, trial_matrix, trial_pull = problem.at(trial)
        if trial_loss > loss:
            damper *= 10
            continue
        is_still = loss - trial_loss < ENOUGH * loss
        values, loss, matrix, pull, damper = trial, trial_loss, trial_matrix, trial_pull, damper / 3
        if is_still:
            break
    rates = len(form.terms)
    offsets = dict(zip(problem.names, values[rates:].tolist(), strict=True))
    chips = {chip: offsets.pop(chip, 0.0) for chip in CHIPS}
    return Fitted(form, np.exp(values[:rates]), chips, offsets)


@dataclass(frozen=True)
class _Problem:
    """Unknown are the logarithms of the rates, then the offsets of `names`: chips, then sources. `precision` is that of
    the priors around `centre`; `share` weighs the records."""

    form: Form
    data: Data
    names: tuple[str, ...]
    offsets: Array
    centre: Array
    precision: Array
    share: Array

    @classmethod
    def of(cls, form: Form, data: Data) -> _Problem:
        sources = sorted(set(data.source.tolist()))
        chips = [chip for chip in CHIPS if chip != REFERENCE_CHIP]
        columns = [data.chip == name for name in chips] + [data.source == name for name in sources]
        priors = np.log([term.prior for term in form.terms])
        spreads = [term.spread for term in form.terms] + [CHIP_SPREAD] * len(chips) + [SOURCE_SPREAD] * len(sources)
        return cls(
            form,
            data,
            (*chips, *sources),
            np.array(columns, dtype=float).T,
            np.concatenate([priors, np.zeros(len(columns))]),
            np.array(spreads) ** -2.0,
            group_weights(data.family, 0.5),  # families with many records must not decide for those with few
        )

    def at(self, values: Array) -> tuple[float, Array, Array]:
        """The loss, and the matrix and the right side of the equations for the next step."""
        rates = len(self.form.terms)
        log_ms, slopes = _log_ms(self.form, np.exp(values[:rates]), self.data.amounts)
        error = np.log(self.data.ms) - log_ms - self.offsets @ values[rates:]
        size, away = np.abs(error), values - self.centre
        each = np.where(size < DOUBT, size**2 / 2, DOUBT * (size - DOUBT / 2))
        loss = (self.share * each).sum() / NOISE**2 + (self.precision * away**2).sum() / 2
        weights = self.share * np.minimum(1, DOUBT / np.maximum(size, 1e-12)) / NOISE**2
        slopes = np.hstack([slopes, self.offsets])
        matrix = slopes.T @ (weights[:, None] * slopes) + np.diag(self.precision)
        return float(loss), matrix, slopes.T @ (weights * error) - self.precision * away


def group_weights(group: Names, power: float) -> Array:
    """A weight for each record, on average 1, such that a group of n records counts as n ** (1 - power)."""
    _, place, counts = np.unique(group, return_inverse=True, return_counts=True)
    weights = counts[place].astype(float) ** -power
    return np.asarray(weights / weights.mean())


def _log_ms(form: Form, rates: Array, amounts: Array) -> tuple[Array, Array]:
    """Of each network on the reference chip, and its slopes by the logarithm of each rate."""
    costs = amounts * rates
    if form.beside is None:
        total, slopes = costs.sum(1), costs
    else:
        work, beside = costs[:, 1:-1].sum(1), costs[:, -1]
        longer = (work**SHARPNESS + beside**SHARPNESS) ** (1 / SHARPNESS)
        total = costs[:, 0] + longer
        slopes = costs.copy()
        slopes[:, 1:-1] *= ((work / longer) ** (SHARPNESS - 1))[:, None]
        slopes[:, -1] *= (beside / longer) ** (SHARPNESS - 1)
    return np.asarray(np.log(total)), np.asarray(slopes / total[:, None])
