"""Two ways to do the same, timed in turn in one process, so that a machine whose speed drifts does not decide."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

Run = Callable[[], object]


def _nothing() -> None:
    pass


class Timed(NamedTuple):
    run: Run
    prepare: Run = _nothing
    """Called before each `run`, and not timed."""


def clock() -> float:
    """Seconds. With one thread and no GPU those that this process had the processor: what others do on the machine in
    the meantime does not count."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()  # what it still has to do is waited for
    elif torch.get_num_threads() == 1:
        return time.process_time()
    return time.perf_counter()


def seconds(what: Timed) -> float:
    """Of one run."""
    what.prepare()
    start = clock()
    what.run()
    return clock() - start


@dataclass(frozen=True)
class Comparison:
    """Seconds of each pair: ours, and that of the other one. Every sample is kept."""

    times: list[tuple[float, float]]

    @property
    def ours_ms(self) -> float:
        return 1e3 * statistics.median(ours for ours, _ in self.times)

    @property
    def other_ms(self) -> float:
        return 1e3 * statistics.median(other for _, other in self.times)

    @property
    def ratio(self) -> float:
        """The median over the pairs of ours / the other: below 1, ours is faster."""
        return statistics.median(ours / other for ours, other in self.times)

    @property
    def middle_half(self) -> list[float]:
        """Between which ratios the middle half of the pairs lies."""
        ratios = sorted(ours / other for ours, other in self.times)
        return [ratios[len(ratios) // 4], ratios[3 * len(ratios) // 4]]

    def row(self, other: str) -> dict[str, Any]:
        return {
            "ours_ms": self.ours_ms,
            f"{other}_ms": self.other_ms,
            "ratio": self.ratio,
            "ratio_quartiles": self.middle_half,
            "pairs": len(self.times),
        }


def in_turn(pairs: Iterable[tuple[Timed, Timed]]) -> Comparison:
    """Each pair once, ours and the other, in alternating order."""
    times: list[tuple[float, float]] = []
    for index, (ours, other) in enumerate(pairs):
        if index % 2:
            second, first = seconds(other), seconds(ours)
            times.append((first, second))
        else:
            times.append((seconds(ours), seconds(other)))
    return Comparison(times)
