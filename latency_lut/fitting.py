"""From the sum over a network's units to the latency of the whole network, with the error to expect.

    latency = offset + factor * sum over units + sum over kinds of (correction of the kind * its part of the sum)

Units overlap, share caches and wait for each other in a network as they do not in a chain: a few dozen whole networks
tell by how much. Errors count relative to the latency. The corrections of the kinds are pulled towards zero (ridge), as
strongly as leaving out networks one at a time shows to be best; where they do not pay, there are none. No unit makes a
network faster: where measurements are so rough that this would come out, the sum is only scaled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

RIDGES = (0.0001, 0.001, 0.01, 0.1, 1.0)
PAYS = 0.95
"""To which part of the error, at most, corrections must bring it."""
LEAST = 4
"""Networks that a fit needs."""
NEVER = 1e9
"""A ridge that leaves nothing."""


@dataclass(frozen=True)
class Fit:
    """`error` is the share within which nine of ten networks lie that the fit has not seen."""

    offset_ms: float = 0.0
    factor: float = 1.0
    corrections: Mapping[str, float] = field(default_factory=dict)
    error: float | None = None
    networks: int = 0

    def weight(self, kind: str) -> float:
        """By which the latency of a unit of that kind is multiplied."""
        return self.factor + self.corrections.get(kind, 0.0)

    def latency_ms(self, parts_ms: Mapping[str, float]) -> float:
        return self.offset_ms + sum(self.weight(kind) * ms for kind, ms in parts_ms.items())


def fit(parts_ms: Sequence[Mapping[str, float]], measured_ms: Sequence[float]) -> Fit:
    """`parts_ms` has the sum over units of each network, by kind."""
    if len(parts_ms) < LEAST:
        raise ValueError(f"{len(parts_ms)} measured networks are too few for a fit: {LEAST} are needed")
    kinds = sorted({kind for parts in parts_ms for kind in parts})
    by_kind = np.array([[parts.get(kind, 0.0) for kind in kinds] for parts in parts_ms])
    measured = np.array(measured_ms)
    plain = np.stack([np.ones(len(measured)), by_kind.sum(1)], 1)
    only_scaled, with_offset = np.array([NEVER, 0.0]), np.zeros(2)
    penalty = with_offset if _is_possible(_solve(plain, with_offset, measured), plain, measured) else only_scaled
    best = (_left_out(plain, penalty, measured), plain, penalty)
    full = np.concatenate([plain, by_kind], 1)
    for ridge in RIDGES:
        penalty = np.concatenate([np.zeros(2), np.full(len(kinds), ridge)])
        errors = _left_out(full, penalty, measured)
        pays = _size(errors) < PAYS * _size(best[0]) - 1e-9
        if pays and _is_possible(_solve(full, penalty, measured), full, measured):
            best = (errors, full, penalty)
    errors, features, penalty = best
    found = _solve(features, penalty, measured)
    return Fit(
        float(found[0]),
        float(found[1]),
        dict(zip(kinds, map(float, found[2:]), strict=False)),
        float(np.quantile(np.abs(errors), 0.9)),
        len(measured),
    )


def _solve(features: np.ndarray, penalty: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Least squares of relative errors. A penalty is in units of the square of the sum's column, so that a kind whose
    part of the latency is small gets no large correction."""
    scaled = features / measured[:, None]
    scale = (scaled[:, 1] ** 2).sum()
    return np.linalg.lstsq(scaled.T @ scaled + np.diag(penalty * scale), scaled.sum(0), rcond=None)[0]


def _is_possible(found: np.ndarray, features: np.ndarray, measured: np.ndarray) -> bool:
    """No kind of unit takes negative time, and no network that was measured less than half of what it took."""
    least = found[1] + found[2:].min(initial=0.0)
    return bool(least >= 0 and (features @ found >= measured / 2).all())


def _left_out(features: np.ndarray, penalty: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Relative errors of networks, each predicted from the others."""
    errors = np.empty(len(measured))
    for index in range(len(measured)):
        others = np.arange(len(measured)) != index
        errors[index] = features[index] @ _solve(features[others], penalty, measured[others]) / measured[index] - 1
    return errors


def _size(errors: np.ndarray) -> float:
    return float(np.sqrt((errors**2).mean()))
