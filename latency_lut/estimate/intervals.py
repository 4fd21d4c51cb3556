"""How far a published figure may be from its estimate: intervals from held-out errors, and whether they hold.

Errors of one family are alike, so what counts is how many families there are, not how many figures (split conformal
prediction over groups). Where a network's family has published figures, they say more than those of all others: the
mean error of its other networks is taken back, and what is left of their errors makes most of the interval.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .features import Features
from .forms import FORMS, Array
from .model import Fitted, Names, Rows, fit, group_weights
from .published import published
from .validation import fitted, held_out, published_data

KNOWN_NETWORKS = 3
"""Of a family, from which on it counts as known."""
OTHERS_COUNT = 3
"""All other families together weigh as much as this many networks of a network's own family."""


def interval(errors: Array, group: Names, coverage: float) -> tuple[float, float]:
    """Limits of ln(figure / estimate) for a record of a group not seen before: quantiles of held-out errors where each
    group weighs the same, moved outwards as if one more group lay beyond. Of too few groups, the extremes."""
    weights, groups = group_weights(group, 1.0) / len(group), len(np.unique(group))
    level = min(1.0, (1 + coverage) / 2 * (groups + 1) / groups)
    return -_quantile(-errors, weights, level), _quantile(errors, weights, level)


def _quantile(values: Array, weights: Array, level: float) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][min(int(np.searchsorted(reached, level - 1e-9)), len(values) - 1)])


def attends_in_batches(network: Features) -> bool:
    """Whether there is attention with several heads or windows. What it costs differs from network to network by far
    more than anything else, so errors of networks with and without it are told apart."""
    return network.total(lambda sums: sums.number, ("batched_matmul", "batched_softmax")) > 0


@dataclass(frozen=True)
class Errors:
    """ln(figure / estimate) of each published record: `new` from fits without its family, `known` from fits without its
    network and with the rest of the family taken back (NaN where the rest is too small)."""

    new: Array
    known: Array
    family: Names
    network: Names
    in_batches: Rows

    def for_new(self, in_batches: bool, coverage: float, but: str | None = None) -> tuple[float, float]:
        """For a network of a family without published figures; as if family `but` had none."""
        rows = (self.in_batches == in_batches) & (self.family != but)
        return interval(self.new[rows], self.family[rows], coverage)

    def for_known(self, family: str, coverage: float, but: str | None = None) -> tuple[float, float]:
        """For another network of a family with published figures; as if network `but` were not published."""
        is_known = ~np.isnan(self.known)
        own = is_known & (self.family == family) & (self.network != but)
        others = is_known & (self.family != family)
        networks = len(np.unique(self.network[own]))
        weights = np.zeros(len(self.known))
        weights[own] = group_weights(self.network[own], 1.0) / own.sum() * networks / (networks + OTHERS_COUNT)
        weights[others] = (
            group_weights(self.family[others], 1.0) / others.sum() * OTHERS_COUNT / (networks + OTHERS_COUNT)
        )
        level = (1 + coverage) / 2
        errors, weights = self.known[is_known], weights[is_known]
        return -_quantile(-errors, weights, level), _quantile(errors, weights, level)

    @property
    def known_families(self) -> list[str]:
        return [
            family
            for family in np.unique(self.family).tolist()
            if len(np.unique(self.network[self.family == family])) >= KNOWN_NETWORKS
        ]


@functools.cache
def published_errors(name: str) -> Errors:
    data, records, networks = published_data(name), published().records, published().networks
    batched = {key: attends_in_batches(one.features) for key, one in networks.items()}
    models = np.array([networks[record.network].model for record in records])
    return Errors(
        np.log(data.ms / held_out(name)),
        _known_errors(name, models),
        data.family,
        models,
        np.array([batched[record.network] for record in records]),
    )


def _known_errors(name: str, models: Names) -> Array:
    data, start = published_data(name), fitted(name).rates
    found = np.full(len(models), np.nan)
    for model in np.unique(models):
        left_out = models == model
        family = data.family[left_out][0]
        rest = (data.family == family) & ~left_out
        if len(np.unique(models[rest])) >= KNOWN_NETWORKS - 1:
            errors = _errors(name, fit(FORMS[name], data.where(~left_out), start))
            found[left_out] = errors[left_out] - _taken_back(errors[rest], models[rest])
    return found


def _errors(name: str, model: Fitted) -> Array:
    data = published_data(name)
    return np.asarray(np.log(data.ms / model.estimates(data.amounts, data.chip)))


def _taken_back(errors: Array, network: Names) -> float:
    networks = np.unique(network)
    means = [errors[network == one].mean() for one in networks]
    return float(np.sum(means) / (len(means) + OTHERS_COUNT))


@functools.cache
def family_offsets(name: str) -> dict[str, float]:
    """ln of the factor on estimates for networks of each known family."""
    errors, all_errors = published_errors(name), _errors(name, fitted(name))
    rows = {family: errors.family == family for family in errors.known_families}
    return {family: _taken_back(all_errors[row], errors.network[row]) for family, row in rows.items()}


def covered_when_new(name: str, coverage: float) -> Rows:
    """For each record, whether it lies inside the interval that the errors of all other families give."""
    errors = published_errors(name)
    limits = (
        errors.for_new(bool(batched), coverage, but=family)
        for batched, family in zip(errors.in_batches, errors.family, strict=True)
    )
    return _inside(errors.new, limits)


def covered_when_known(name: str, coverage: float) -> Rows:
    """The same for each record of a known family, and the interval that the family's other networks give."""
    errors = published_errors(name)
    rows = np.flatnonzero(np.isin(errors.family, errors.known_families))
    limits = (errors.for_known(errors.family[row], coverage, but=errors.network[row]) for row in rows)
    return _inside(errors.known[rows], limits)


def _inside(errors: Array, limits: Iterable[tuple[float, float]]) -> Rows:
    low, high = np.array(list(limits)).T
    return np.asarray((errors >= low - 1e-9) & (errors <= high + 1e-9))
