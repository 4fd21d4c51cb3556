"""How far estimates are from published latencies when no record of a network's family was used for them."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .devices import CHIP_OF
from .forms import FORMS, Array, Form
from .model import Data, Fitted, fit
from .published import Published, published


@dataclass(frozen=True)
class Score:
    """Of estimates against published figures. Errors are relative to the figure; `bias` is the median of
    ln(estimate / figure)."""

    number: int
    spearman: float
    median_error: float
    mean_error: float
    within_20: float
    bias: float


def score(estimates: Array, figures: Array) -> Score:
    from scipy.stats import spearmanr

    errors = np.abs(estimates / figures - 1)
    ranked = min(len(set(figures.tolist())), len(set(estimates.tolist()))) > 1
    return Score(
        len(figures),
        float(spearmanr(estimates, figures).statistic) if ranked else float("nan"),
        float(np.median(errors)),
        float(np.mean(errors)),
        float(np.mean(errors <= 0.2)),
        float(np.median(np.log(estimates / figures))),
    )


@functools.cache
def published_data(name: str) -> Data:
    """The published records with the amounts of a form."""
    return as_data(FORMS[name], published())


def as_data(form: Form, data: Published) -> Data:
    names = sorted(data.networks)
    amounts = form.amounts([data.networks[name].features for name in names])
    place = {name: index for index, name in enumerate(names)}
    records = data.records
    return Data(
        amounts[[place[record.network] for record in records]],
        np.array([record.ms for record in records]),
        np.array([data.family_of(record) for record in records]),
        np.array([CHIP_OF[record.device] for record in records]),
        np.array([record.source for record in records]),
    )


@functools.cache
def fitted(name: str) -> Fitted:
    """To all published records."""
    return fit(FORMS[name], published_data(name))


@functools.cache
def held_out(name: str, *, with_source: bool = False) -> Array:
    """An estimate for each published record, from a fit without its family. `with_source`: with the offset of the
    record's source, as far as other families tell it."""
    return held_out_of(FORMS[name], published_data(name), with_source=with_source)


def held_out_of(form: Form, data: Data, *, with_source: bool = False) -> Array:
    found = np.empty(len(data.ms))
    for family in np.unique(data.family):
        left_out = data.family == family
        one = fit(form, data.where(~left_out))
        found[left_out] = one.estimates(data.amounts[left_out], data.chip[left_out])
        if with_source:
            found[left_out] *= np.exp([one.sources.get(source, 0.0) for source in data.source[left_out]])
    return found


def criterion(estimates: Array, data: Data, families: Iterable[str]) -> float:
    """What forms are chosen by: the mean over families of the mean |ln(estimate / figure)|."""
    errors = np.abs(np.log(estimates / data.ms))
    return float(np.mean([errors[data.family == family].mean() for family in families]))


def nested(names: Sequence[str]) -> tuple[Array, dict[str, str]]:
    """Held-out estimates where the form, too, is chosen without the family: by leaving out each of the other families
    in turn. Also says which form each family got."""
    datas = {name: published_data(name) for name in names}
    families = np.unique(datas[names[0]].family).tolist()
    without = {name: _without_pairs(name, families) for name in names}
    found, choice = np.empty(len(datas[names[0]].ms)), {}
    for family in families:
        others = [one for one in families if one != family]
        choice[family] = min(names, key=lambda name: criterion(without[name][family], datas[name], others))
        rows = datas[choice[family]].family == family
        found[rows] = held_out(choice[family])[rows]
    return found, choice


def _without_pairs(name: str, families: list[str]) -> dict[str, Array]:
    """By family: held-out estimates for the others, from fits that saw neither."""
    data = published_data(name)
    found = {family: np.full(len(data.ms), np.nan) for family in families}
    for pair in itertools.combinations(families, 2):
        one = fit(FORMS[name], data.where(~np.isin(data.family, pair)))
        for outer, inner in (pair, pair[::-1]):
            rows = data.family == inner
            found[outer][rows] = one.estimates(data.amounts[rows], data.chip[rows])
    return found


def spread_of(
    estimates: Array, data: Data, statistics: Sequence[str], draws: int = 2000
) -> dict[str, tuple[float, float]]:
    """95 % intervals of fields of `Score`, over families drawn with replacement."""
    rng = np.random.default_rng(0)
    rows = [np.flatnonzero(data.family == family) for family in np.unique(data.family)]
    drawn = []
    for _ in range(draws):
        chosen = np.concatenate([rows[index] for index in rng.integers(0, len(rows), len(rows))])
        drawn.append(score(estimates[chosen], data.ms[chosen]))
    limits = {}
    for name in statistics:
        low, high = np.percentile([getattr(one, name) for one in drawn], [2.5, 97.5])
        limits[name] = (float(low), float(high))
    return limits
