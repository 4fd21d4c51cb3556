"""Evaluating a batch of networks together with whoever else works on the same study."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from ..workers import Evaluator
from .record import Evaluation
from .records import Records

T = TypeVar("T")
CLAIMED_S = 0.5
"""Networks are claimed for so long, so that the last ones of a batch are shared fairly."""
MOST_CLAIMED = 64


def evaluate_shared(
    records: Records,
    codes: np.ndarray,
    evaluator: Evaluator[T],
    task_of: Callable[[int], T],
    values_of: Callable[[int, float], Sequence[float]],
    *,
    images: int = 0,
    progress: Callable[[int, Evaluation], None] | None = None,
) -> np.ndarray:
    """The accuracies of all, in order. What is known is taken from there, what others evaluate is waited for.

    `task_of` gives what the evaluator shall do for a row of `codes`, `values_of` the objectives of a row with that
    accuracy; `progress` is told of each row once, as soon as it is known, whoever evaluated it.
    """
    keys = [code.tobytes() for code in np.ascontiguousarray(codes, dtype=np.int32)]
    told: set[int] = set()

    def tell() -> None:
        for index, key in enumerate(keys):
            if index not in told and key in known:
                told.add(index)
                if progress is not None:
                    progress(index, known[key])

    known = records.known()
    tell()
    while len(told) < len(keys):
        claims = _Claims(records, codes)
        for result in evaluator.evaluate(map(task_of, claims)):
            index = claims.taken[result.position]
            records.add(
                codes[index],
                result.accuracy,
                values_of(index, result.accuracy),
                seconds=result.seconds,
                images=images,
                worker=result.worker,
            )
            claims.finished += 1
            tell()
        if not claims.taken:
            records.wait(codes)
        known = records.known()
        tell()
    return np.array([known[key].accuracy for key in keys], dtype=np.float64)


class _Claims:
    """Rows that are claimed when somebody is ready to evaluate them, as many at once as are evaluated in a moment."""

    def __init__(self, records: Records, codes: np.ndarray) -> None:
        self.records, self.codes = records, codes
        self.taken: list[int] = []
        self.finished = 0

    def __iter__(self) -> Iterator[int]:
        began = time.monotonic()
        while True:
            rate = self.finished / max(time.monotonic() - began, 1e-3)
            found = self.records.claim(self.codes, max(1, min(int(rate * CLAIMED_S), MOST_CLAIMED)))
            if not found:
                return
            for index in found:
                self.taken.append(index)
                yield index
