"""From a plan to rows of a table: rounds over all items, continued wherever they were left."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from supernet.values import first_line

from .devices.base import Device
from .items import Item
from .protocol import Burst, Protocol, burst, sustained
from .table.store import SUSTAINED, Collection, Store

REMEASURED = 40
"""Bursts after which the anchor is looked at again, so that a drift is found before the end of a long round."""


Progress = Callable[[int, int, str], None]
"""How much is done, of how much, and what comes next."""


class Drifted(Exception):  # noqa: N818  it is no error
    """The anchor changed too much since the round began."""


def measure(
    items: Sequence[Item],
    anchor: Item,
    device: Device,
    store: Store,
    protocol: Protocol,
    file_of: Callable[[Item], Path | None],
    tool: str,
    progress: Progress = lambda done, total, what: None,
) -> Collection:
    """All rounds of all items. What is in the store is not measured again; what failed is named there and left out."""
    collection = store.collection(device.facts, protocol, tool)
    numbers = store.add_items([anchor, *items])
    failed = set(store.failures(collection))
    work = _Work(collection, numbers, anchor, device, store, protocol, file_of, failed)
    total = protocol.rounds * len(items)
    for round_ in range(protocol.rounds):
        work.round(
            round_, [item for item in items if item not in failed], _counting(progress, round_, len(items), total)
        )
    if protocol.sustained_runs:
        work.sustained([item for item in items if not item.copies and item not in failed])
    return collection


def _counting(progress: Progress, round_: int, items: int, total: int) -> Callable[[int, str], None]:
    return lambda done, what: progress(round_ * items + done, total, f"round {round_ + 1}: {what}")


class _Work:
    def __init__(
        self,
        collection: Collection,
        numbers: dict[Item, int],
        anchor: Item,
        device: Device,
        store: Store,
        protocol: Protocol,
        file_of: Callable[[Item], Path | None],
        failed: set[Item],
    ) -> None:
        self.collection, self.numbers, self.anchor = collection, numbers, anchor
        self.device, self.store, self.protocol = device, store, protocol
        self.file_of, self.failed = file_of, failed

    def round(self, round_: int, items: Sequence[Item], progress: Callable[[int, str], None]) -> None:
        """Attempts until one is without drift; the last one counts in any case."""
        for attempt in range(1 + self.protocol.round_repeats):
            first_ms, state = self._states().get((round_, attempt), (0.0, "new"))
            if state in ("accepted", "drifted"):
                missing = self._missing(round_, attempt, items)  # of a plan that has grown since
                self._attempt(round_, attempt, missing, first_ms, progress, may_drift=True)
                return
            is_last = attempt == self.protocol.round_repeats
            if state != "repeated" and self._try(round_, attempt, items, progress, is_last):
                return

    def _states(self) -> dict[tuple[int, int], tuple[float, str]]:
        """By round and attempt: the anchor at its start, and its state."""
        rows = self.store.rounds(self.collection)
        return {(round_, attempt): (first_ms, state) for round_, attempt, first_ms, _, state in rows}

    def _try(
        self, round_: int, attempt: int, items: Sequence[Item], progress: Callable[[int, str], None], is_last: bool
    ) -> bool:
        now_ms = self._measure(self.anchor).median_ms
        self.store.begin_round(self.collection, round_, attempt, now_ms)
        first_ms, _ = self._states()[round_, attempt]  # of an attempt that was interrupted, that of its start
        try:
            last_ms = self._attempt(
                round_, attempt, self._missing(round_, attempt, items), first_ms, progress, may_drift=is_last
            )
        except Drifted:
            self.store.end_round(self.collection, round_, attempt, self._measure(self.anchor).median_ms, "repeated")
            return False
        state = "drifted" if self._has_drifted(first_ms, last_ms) else "accepted"
        self.store.end_round(self.collection, round_, attempt, last_ms, state)
        return True

    def _attempt(
        self,
        round_: int,
        attempt: int,
        items: Sequence[Item],
        first_ms: float,
        progress: Callable[[int, str], None],
        may_drift: bool,
    ) -> float:
        """The anchor's time at the end."""
        order = list(items)
        random.Random(f"{self.protocol.seed} {round_} {attempt}").shuffle(order)
        anchor_ms = first_ms
        for index, item in enumerate(order):
            if index % REMEASURED == 0:
                anchor_ms = self._check_anchor(first_ms, may_drift)
            progress(index, str(item))
            self._keep(item, round_, attempt)
        return self._check_anchor(first_ms, may_drift) if order else anchor_ms

    def _check_anchor(self, first_ms: float, may_drift: bool) -> float:
        """Twice before it is believed that the device, and not one burst, is slow."""
        for last in (False, True):
            anchor_ms = self._measure(self.anchor).median_ms
            if not self._has_drifted(first_ms, anchor_ms):
                return anchor_ms
            if last and not may_drift:
                raise Drifted
            time.sleep(self.protocol.idle_ms / 1e3)
        return anchor_ms

    def _has_drifted(self, first_ms: float, last_ms: float) -> bool:
        return abs(last_ms / first_ms - 1) > self.protocol.drift

    def _missing(self, round_: int, attempt: int, items: Sequence[Item]) -> list[Item]:
        done = self.store.measured(self.collection, round_, attempt)
        return [item for item in items if self.numbers[item] not in done]

    def _keep(self, item: Item, round_: int, attempt: int) -> None:
        try:
            found = self._measure(item)
        except (RuntimeError, ValueError, OSError) as error:
            self.failed.add(item)
            self.store.add_failure(self.collection, self.numbers[item], first_line(error))
            return
        self.store.add_burst(self.collection, self.numbers[item], round_, attempt, found)

    def _measure(self, item: Item) -> Burst:
        with self.device.loaded(item, self.file_of(item)) as run:
            return burst(run, self.device.clocks, self.protocol)

    def sustained(self, items: Sequence[Item]) -> None:
        for item in self._missing(SUSTAINED, 0, items):
            with self.device.loaded(item, self.file_of(item)) as run:
                found = sustained(run, self.device.clocks, self.protocol)
            self.store.add_burst(self.collection, self.numbers[item], SUSTAINED, 0, found)
