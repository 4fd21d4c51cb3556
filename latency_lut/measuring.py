"""From a plan to rows of a table: rounds over all items, continued wherever they were left.

A round is measured in short stretches, with a look at the anchor before and after each. A stretch in which the device
was slower than it can be, by the anchor, is measured again: other work on a shared computer slows it down for seconds,
and a phone that is warm for minutes.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from supernet.values import SpecError, first_line

from .devices.base import Device
from .items import Item
from .protocol import Burst, Protocol, burst, sustained
from .table.collection import Collection
from .table.store import SUSTAINED, Store
from .table.stretches import Stretch, looks_at

STRETCH = 10
"""Items between two looks at the anchor."""
FIRST_LOOKS = 5
"""At the anchor, where nothing was measured yet: one alone could be a slow one."""
PAUSE_S = 0.5
_FAILURES = (RuntimeError, ValueError, OSError)

Progress = Callable[[int, int, str], None]
"""How much is done, of how much, and what comes next."""


def measure(
    items: Sequence[Item],
    anchor: Item,
    device: Device,
    store: Store,
    protocol: Protocol,
    file_of: Callable[[Item], Path | None],
    tool: str,
    progress: Progress = lambda done, total, what: None,
    looks_ms: Sequence[float] = (),
) -> Collection:
    """All rounds of all items. What is in the store is not measured again; what fails is named there, left out, and
    tried again at the next start. `looks_ms`: at the anchor on this device, from elsewhere: how fast it can be."""
    collection = store.collection(device.facts, protocol, tool)
    numbers = store.add_items([anchor, *items])
    store.forget_failures(collection, [numbers[item] for item in items])
    work = _Work(collection, numbers, anchor, device, store, protocol, file_of, looks_ms)
    total = protocol.rounds * len(items)
    for _ in range(2):  # the second time, what was measured before the device was seen at its fastest
        for round_ in range(protocol.rounds):
            work.round(round_, items, _counting(progress, round_, len(items), total))
    if protocol.sustained_runs:
        work.sustained([item for item in items if not item.copies])
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
        looks_ms: Sequence[float],
    ) -> None:
        self.collection, self.numbers, self.anchor = collection, numbers, anchor
        self.device, self.store, self.protocol, self.file_of = device, store, protocol, file_of
        self.failed: set[Item] = set()
        self.patience_s = protocol.patience_s
        self.looks = [*looks_ms, *looks_at(anchor.id, store.stretches(collection))]
        while len(self.looks) < FIRST_LOOKS:
            self._look()

    def round(self, round_: int, items: Sequence[Item], progress: Callable[[int, str], None]) -> None:
        """Stretch by stretch, until each item has one on a fast device, or enough of them."""
        order = list(items)
        random.Random(f"{self.protocol.seed} {round_}").shuffle(order)
        anchor_ms: float | None = None
        self._reconsider(round_)
        while left := self._left(round_, order):
            progress(len(order) - len(left), "looking whether the device is fast")
            if anchor_ms is None or self._is_slow(anchor_ms):
                anchor_ms = self._calm_anchor()
            progress(len(order) - len(left), str(left[0]))
            anchor_ms = self._stretch(round_, order, anchor_ms)

    def _left(self, round_: int, order: Sequence[Item]) -> list[Item]:
        stretches = self.store.stretches(self.collection, round_)
        settled = {item for one in stretches if one.state in ("accepted", "drifted") for item in one.items}
        return [item for item in order if self.numbers[item] not in settled and item not in self.failed]

    def _reconsider(self, round_: int) -> None:
        """What was accepted before the device was seen at its fastest may be slow now. What another plan measured, too,
        is left to that."""
        stretches, ours = self.store.stretches(self.collection, round_), set(self.numbers.values())
        for one in stretches:
            is_ours = one.anchor == self.anchor.id and one.items <= ours
            if one.state == "accepted" and is_ours and one.last_ms is not None:
                state = self._state(one, one.last_ms, stretches)
                if state != "accepted":
                    self.store.end_stretch(self.collection, round_, one.attempt, one.last_ms, state)

    def _state(self, stretch: Stretch, last_ms: float, stretches: Sequence[Stretch]) -> str:
        if not self._is_slow(max(stretch.first_ms, last_ms)):
            return "accepted"
        tries = max((sum(item in one.items for one in stretches) for item in stretch.items), default=0)
        return "drifted" if tries > self.protocol.round_repeats else "repeated"

    def _stretch(self, round_: int, order: Sequence[Item], anchor_ms: float) -> float:
        """The anchor's time at its end. A stretch that was interrupted goes on; so does one that another process is at,
        until either ends it."""
        with self.store.writing():
            batch = self._left(round_, order)[:STRETCH]
            if not batch:  # another process has ended the round meanwhile
                return anchor_ms
            attempt = self.store.begin_stretch(self.collection, round_, self.anchor.id, anchor_ms)
        place = (self.collection, round_, attempt)
        for item in batch:
            self._keep(item, round_, attempt)
        last_ms = self._look()
        with self.store.writing():
            self.store.drop_stretch(*place)
            stretches = self.store.stretches(self.collection, round_)
            for ours in (one for one in stretches if one.attempt == attempt and one.state == "open"):
                self.store.end_stretch(*place, last_ms, self._state(ours, last_ms, stretches))
        return last_ms

    # --- the anchor ----------------------------------------------------------------------------------------------

    def _look(self) -> float:
        try:
            self.looks.append(self._burst(self.anchor).median_ms)
        except _FAILURES as error:
            raise SpecError(f"the anchor, {self.anchor}", f"can't be measured: {first_line(error)}") from None
        return self.looks[-1]

    def _is_slow(self, ms: float) -> bool:
        """Compared with the fastest looks, but for one in twenty, which may be too good by chance."""
        return ms > (1 + self.protocol.drift) * sorted(self.looks)[len(self.looks) // 20]

    def _calm_anchor(self) -> float:
        """As soon as the device is as fast as it can be; it waits for that as long as it has patience."""
        while True:
            began = time.monotonic()
            ms = self._look()
            if not self._is_slow(ms) or self.patience_s <= 0:
                return ms
            time.sleep(min(PAUSE_S, self.patience_s))
            self.patience_s -= time.monotonic() - began

    # --- items ---------------------------------------------------------------------------------------------------

    def _keep(self, item: Item, round_: int, attempt: int) -> None:
        """Nothing is measured, or kept, where another process has done so, or has ended the stretch."""
        place = (self.collection, self.numbers[item], round_, attempt)
        if not self._is_wanted(item, round_, attempt):
            return
        try:
            found = self._burst(item) if round_ != SUSTAINED else self._sustained(item)
        except _FAILURES as error:
            self.failed.add(item)
            self.store.add_failure(self.collection, self.numbers[item], first_line(error))
            return
        with self.store.writing():
            if self._is_wanted(item, round_, attempt):
                self.store.add_burst(*place, found)

    def _is_wanted(self, item: Item, round_: int, attempt: int) -> bool:
        is_open = round_ == SUSTAINED or self.store.is_open(self.collection, round_, attempt)
        return is_open and not self.store.is_measured(self.collection, self.numbers[item], round_, attempt)

    def _burst(self, item: Item) -> Burst:
        with self.device.loaded(item, self.file_of(item)) as run:
            return burst(run, self.device.clocks, self.protocol)

    def _sustained(self, item: Item) -> Burst:
        with self.device.loaded(item, self.file_of(item)) as run:
            return sustained(run, self.device.clocks, self.protocol)

    def sustained(self, items: Sequence[Item]) -> None:
        for item in items:
            if item not in self.failed:
                self._keep(item, SUSTAINED, 0)
