"""Claims of other computers: their owners give a sign of life, and who gives none for long has lost them.

Nobody compares clocks: each process measures by its own how long it has heard nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping

from .patience import StorageError, logger

BEATS = 6
"""Signs of life in the time of a lease."""


class Heartbeat:
    """Calls `beat` from a thread of its own, from time to time, until it is stopped."""

    def __init__(self, beat: Callable[[], None], lease_s: float) -> None:
        self._beat, self._pause = beat, lease_s / BEATS
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="signs of life", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(1.0)  # it may be waiting for the storage

    def _run(self) -> None:
        while not self._stop.wait(self._pause):
            try:
                self._beat()
            except StorageError as error:
                logger.warning("no sign of life could be given: %s", error)


class Silence:
    """For how long nothing was heard about each claim.

    Time in which this process did not listen, because it was busy or the storage away, counts as one pause at most.
    """

    def __init__(self, lease_s: float) -> None:
        self.lease_s = lease_s
        self._listened = float("-inf")
        self._silent: dict[int, tuple[int, float]] = {}

    @property
    def is_due(self) -> bool:
        return time.monotonic() - self._listened >= self.lease_s / (2 * BEATS)

    def listen(self, beats: Mapping[str, int], claims: Iterable[tuple[int, str]]) -> None:
        """`claims`: number, and whose sign of life stands for it."""
        now = time.monotonic()
        passed = min(now - self._listened, self.lease_s / BEATS)
        found = {}
        for number, token in claims:
            beat = beats.get(token, 0)
            before = self._silent.get(number)
            is_same = before is not None and before[0] == beat
            found[number] = (beat, before[1] + passed if before is not None and is_same else 0.0)
        self._listened, self._silent = now, found

    def is_over(self, number: int) -> bool:
        return number in self._silent and self._silent[number][1] > self.lease_s
