"""How latencies are measured: in rounds over all items, in bursts, with an anchor that shows a slow device.

Some devices run fast for some tens of runs and slower after: bursts with idle gaps between them show the first speed,
sustained runs the second, and the two are never mixed.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Annotated, NamedTuple

from supernet.options import Options
from supernet.values import Limit

Count = Annotated[int, Limit(1, 100_000)]
Milliseconds = Annotated[float, Limit(0, 600_000)]


class Protocol(Options, frozen=True):
    """Kept with every row: figures of different protocols are never compared."""

    rounds: Count = 5
    warm_up: Annotated[int, Limit(0, 10_000)] = 3
    burst_runs: Count = 8
    """At least; more, until `burst_ms` have passed."""
    burst_ms: Milliseconds = 60
    idle_ms: Milliseconds = 0
    """After each burst."""
    sustained_runs: Annotated[int, Limit(0, 100_000)] = 0
    """Of the whole networks, without a gap, after all rounds."""
    drift: Annotated[float, Limit(0, 10)] = 0.05
    """By which share the anchor may be slower than at its fastest; beyond, what was measured is measured again."""
    round_repeats: Annotated[int, Limit(0, 100)] = 3
    """How often what was measured on a slow device is measured again in a round."""
    patience_s: Annotated[float, Limit(0, 86_400)] = 60
    """How long a start may wait, in all, until the device is fast again before it measures on. A phone cools for as
    long as it has to."""
    contention: Annotated[float, Limit(0, 10)] = 0.1
    """By which share a burst may take longer on the clock than on the processor; beyond, it is repeated."""
    burst_repeats: Annotated[int, Limit(0, 100)] = 3
    seed: Annotated[int, Limit(0, 2**31 - 1)] = 0


class Burst(NamedTuple):
    """Milliseconds of single runs: the median and the quartiles. `contention` is by which share the clock ran longer
    than the processor; None where a device can't tell."""

    median_ms: float
    low_ms: float
    high_ms: float
    runs: int
    contention: float | None


Clocks = Callable[[], tuple[float, float]]
"""The clock, and the time that counts (the processor's where all work is done in this thread); both in seconds."""


def burst(run: Callable[[], None], clocks: Clocks, protocol: Protocol) -> Burst:
    """Several tries where something else had the processor; the calmest counts."""
    for _ in range(protocol.warm_up):
        run()
    best: Burst | None = None
    for _ in range(1 + protocol.burst_repeats):
        found = _burst(run, clocks, protocol.burst_runs, protocol.burst_ms)
        if best is None or (found.contention or 0) < (best.contention or 0):
            best = found
        if best.contention is None or best.contention <= protocol.contention:
            break
    assert best is not None
    time.sleep(protocol.idle_ms / 1e3)
    return best


def sustained(run: Callable[[], None], clocks: Clocks, protocol: Protocol) -> Burst:
    return _burst(run, clocks, protocol.sustained_runs, 0)


def _burst(run: Callable[[], None], clocks: Clocks, least: int, burst_ms: float) -> Burst:
    samples: list[float] = []
    began = wall, counted = clocks()
    while len(samples) < least or 1e3 * (wall - began[0]) < burst_ms:
        before = counted
        run()
        wall, counted = clocks()
        samples.append(1e3 * (counted - before))
    busy = counted - began[1]
    can_tell = busy not in (0, wall - began[0])  # the same clock twice tells nothing
    contention = max(0.0, (wall - began[0]) / busy - 1) if can_tell else None
    return summary(samples, contention)


def summary(samples_ms: list[float], contention: float | None = None) -> Burst:
    ordered = sorted(samples_ms)
    quarter = len(ordered) // 4
    return Burst(statistics.median(ordered), ordered[quarter], ordered[-1 - quarter], len(ordered), contention)
