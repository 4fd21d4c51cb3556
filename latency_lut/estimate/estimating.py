"""`estimate_ms`: what a network would take on a phone that nobody has at hand. An estimate, never a measurement."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from torch import nn

from supernet import NetSpec
from supernet.network import plain_network
from supernet.options import Size
from supernet.values import Limit, conform

from .devices import CHIP_OF, phone_name
from .features import Features, features
from .forms import CHOSEN, FORMS
from .intervals import attends_in_batches, family_offsets, published_errors
from .validation import fitted, published_data

COVERAGE = 0.8


@dataclass(frozen=True)
class Estimate:
    """Milliseconds for one image. About `coverage` of published figures, estimated from others, lie from `low` to
    `high`. `figures` is how many there are for the phone's chip.

    `parts` says what the time is charged for. They don't add up to `ms`: weights are streamed while the rest is
    computed, and the longer of the two counts.
    """

    ms: float
    low: float
    high: float
    device: str
    coverage: float
    figures: int
    parts: dict[str, float]
    label: Literal["estimate"] = "estimate"

    def __str__(self) -> str:
        return (
            f"{self.label} for {self.device}: {self.ms:.2f} ms "
            f"({self.coverage:.0%} interval {self.low:.2f} to {self.high:.2f})"
        )


def estimate_ms(
    network: NetSpec | nn.Module,
    device: str = "iphone13",
    resolution: int | Size | None = None,
    *,
    coverage: float = COVERAGE,
) -> Estimate:
    """Of the network as it is deployed: fused and re-parameterised, Core ML on all units, half precision, one image.

    `resolution` is the side of the image, or height and width; by default what the network was made for.
    """
    phone = phone_name(device)
    coverage = conform(Annotated[float, Limit(0.05, 0.95)], coverage, "coverage")
    work = _of_spec(network, resolution) if isinstance(network, NetSpec) else features(network, resolution)
    return _estimate(work, phone, coverage, _family(network))


@functools.lru_cache(maxsize=4096)
def _of_spec(spec: NetSpec, resolution: int | Size | None) -> Features:
    return features(spec, resolution)


def _family(network: NetSpec | nn.Module) -> str | None:
    if isinstance(network, NetSpec):
        return network.family
    try:
        return plain_network(network).spec.family
    except TypeError:
        return None


def _estimate(work: Features, phone: str, coverage: float, family: str | None) -> Estimate:
    model, form, chip = fitted(CHOSEN), FORMS[CHOSEN], CHIP_OF[phone]
    errors, offset = published_errors(CHOSEN), family_offsets(CHOSEN).get(family or "")
    if family is None or offset is None:
        low, high = errors.for_new(attends_in_batches(work), coverage)
    else:
        low, high = errors.for_known(family, coverage)
    amounts, factor = form.amounts([work]), math.exp(offset or 0.0)
    ms = float(model.estimates(amounts, [chip])[0]) * factor
    costs = amounts[0] * model.rates * math.exp(model.chips[chip]) * factor
    return Estimate(
        ms,
        ms * math.exp(min(low, 0.0)),
        ms * math.exp(max(high, 0.0)),
        phone,
        coverage,
        figures=int(np.sum(published_data(CHOSEN).chip == chip)),
        parts={term.name: float(cost) for term, cost in zip(form.terms, costs, strict=True)},
    )
