"""Forms a cost model may have: which sums of work it charges for, and what it expects a unit to cost before any data.

A form says: milliseconds = overhead + work of the operators, with the weights streamed from memory beside that work or
after it. `FORMS` are those that were compared; `CHOSEN` is the one estimates are made with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .features import Features, Sums
from .kinds import KINDS

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Term:
    """Something that costs time: `amount` of it in a network, at a rate in ms a unit that is expected to be `prior`
    within a factor exp(`spread`), one standard deviation."""

    name: str
    unit: str
    amount: Callable[[Features], float]
    prior: float
    spread: float = 1.0


@dataclass(frozen=True)
class Form:
    """`beside`: what runs at the same time as `work`, so that the longer of the two counts; without it all is added."""

    work: tuple[Term, ...]
    beside: Term | None = None

    @property
    def terms(self) -> tuple[Term, ...]:
        return (OVERHEAD, *self.work, *([] if self.beside is None else [self.beside]))

    def amounts(self, networks: Sequence[Features]) -> Array:
        """One row a network, one column a term."""
        return np.array([[term.amount(network) for term in self.terms] for network in networks])


def _traffic(sums: Sums) -> int:
    return sums.inputs + sums.outputs


_REDUCTIONS = ("mean", "norm", "batched_softmax")
SLOW = (*_REDUCTIONS, "batched_matmul")
"""Reductions, and attention with several heads or windows."""

OVERHEAD = Term("overhead", "network", lambda f: 1.0, 0.2, 0.7)
# Priors: what the A15's published 15.8 TOPS and memory of 34 GB/s allow; traffic stays on the chip.
COMPUTE = Term("compute", "GMAC", lambda f: f.macs / 1e9, 0.13, 0.5)
WHOLE_LANES = Term("compute", "GMAC", lambda f: (f.macs + f.total(lambda s: s.idle)) / 1e9, 0.13, 0.5)
"""Channels count in lanes of 32, so that a wider layer never gets cheaper."""
TRAFFIC = Term("traffic", "MB", lambda f: f.total(_traffic) / 1e6, 0.01, 0.7)
WEIGHTS = Term("weights", "MB", lambda f: f.total(lambda s: s.weights) / 1e6, 0.03, 0.5)
REDUCTIONS = Term("slow traffic", "MB", lambda f: f.total(_traffic, _REDUCTIONS) / 1e6, 0.03)
SLOW_TRAFFIC = Term("slow traffic", "MB", lambda f: f.total(_traffic, SLOW) / 1e6, 0.03)
DEPTHWISE = Term("depthwise traffic", "MB", lambda f: f.total(_traffic, ["depthwise"]) / 1e6, 0.01)
LAUNCHES = Term("launches", "operator", lambda f: f.total(lambda s: s.number), 0.002)
SLOW_LAUNCHES = Term("slow launches", "operator", lambda f: f.total(lambda s: s.number, SLOW), 0.005)
PADDING = Term("padding of rows", "MB", lambda f: f.total(lambda s: s.padding) / 1e6, 0.01)
IDLE = Term("idle lanes", "GMAC", lambda f: f.total(lambda s: s.idle) / 1e9, 0.13)
PARAMS = Term("parameters", "million", lambda f: f.params / 1e6, 0.1)


def _of_kind(kind: str) -> Term:
    return Term(f"{kind} traffic", "MB", lambda f: f.total(_traffic, [kind]) / 1e6, 0.01, 0.7)


_MOVED = (TRAFFIC, SLOW_TRAFFIC, DEPTHWISE)
FORMS = {
    "MACs only": Form((COMPUTE,)),
    "parameters only": Form((PARAMS,)),
    "traffic only": Form((TRAFFIC,)),
    "sum": Form((COMPUTE, TRAFFIC, WEIGHTS)),
    "streamed": Form((COMPUTE, TRAFFIC), WEIGHTS),
    "reductions": Form((COMPUTE, TRAFFIC, REDUCTIONS), WEIGHTS),
    "attention": Form((COMPUTE, TRAFFIC, SLOW_TRAFFIC), WEIGHTS),
    "depthwise": Form((COMPUTE, *_MOVED), WEIGHTS),
    "lanes": Form((WHOLE_LANES, *_MOVED), WEIGHTS),
    "idle lanes": Form((COMPUTE, *_MOVED, IDLE), WEIGHTS),
    "padded rows": Form((WHOLE_LANES, *_MOVED, PADDING), WEIGHTS),
    "launches": Form((WHOLE_LANES, *_MOVED, LAUNCHES), WEIGHTS),
    "slow launches": Form((WHOLE_LANES, *_MOVED, SLOW_LAUNCHES), WEIGHTS),
    "every kind": Form((WHOLE_LANES, *map(_of_kind, KINDS)), WEIGHTS),
}
"""Each adds one idea to the one before, up to the chosen one. Those after it add one idea to that; the last one has a
rate for the traffic of every kind instead."""
BASELINES = ("MACs only", "parameters only", "traffic only")
CHOSEN = "lanes"
