"""From bursts to milliseconds: of items, and of units by the slope over the copies in a chain.

An item takes as long as in its fastest burst, of all rounds and of all times that one was repeated. Whatever else goes
on in a device only makes it slower, by a third for minutes on a shared computer: a median over rounds has that in it,
the fastest burst has not, and a burst is itself a median of many runs.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..items import Item
from ..units import Unit
from .collection import Collection
from .store import SUSTAINED, Store

Z95 = 1.96
_LONGEST_MS = 1e9


class Latency(NamedTuple):
    """`low_ms` and `high_ms` hold the truth with 95 %, as far as bursts differ by chance only."""

    ms: float
    low_ms: float
    high_ms: float
    bursts: int


class Summary(NamedTuple):
    """The fastest burst, and its standard error."""

    ms: float
    error: float
    bursts: int


class Latencies:
    """Of one collection."""

    def __init__(self, store: Store, collection: Collection) -> None:
        self.collection = collection
        query = "SELECT item, median_ms FROM bursts WHERE collection = ? AND round != ? ORDER BY item"
        rows = store.connection.execute(query, (collection.id, SUSTAINED)).fetchall()
        self.items = store.items(collection)
        if not all(number in self.items and isinstance(ms, float) and 0 <= ms < _LONGEST_MS for number, ms in rows):
            raise store.damaged("a burst is of no item, or took a time that can't be")
        self.number_of = {item: number for number, item in self.items.items()}
        self._summaries = _summaries(np.array(rows, dtype=np.float64).reshape(-1, 2))
        self.sustained = sustained_ms(store, collection)
        """Milliseconds of whole networks without a pause, where that was measured."""

    def of(self, item: Item) -> Latency | None:
        """That of the fastest burst; its interval from how far behind the next ones are."""
        summary = self._summaries.get(self.number_of.get(item, -1))
        return None if summary is None else _latency(*summary)

    @functools.cached_property
    def networks(self) -> dict[Item, Latency]:
        found = ((item, self.of(item)) for item in self.items.values() if not item.copies)
        return {item: latency for item, latency in found if latency is not None}

    @functools.cached_property
    def slopes(self) -> dict[str, Latency]:
        """By the key of the unit: milliseconds of one more copy."""
        chains: dict[str, list[tuple[int, Summary]]] = defaultdict(list)
        for number, summary in self._summaries.items():
            item = self.items[number]
            if item.copies:
                chains[item.text].append((item.copies, summary))
        return {key: _slope(found) for key, found in chains.items() if len(found) > 1}

    def slope(self, unit: Unit) -> Latency | None:
        return self.slopes.get(unit.key)


def sustained_ms(store: Store, collection: Collection) -> dict[Item, float]:
    rows = store.connection.execute(
        "SELECT text, copies, median_ms FROM bursts JOIN items ON number = item WHERE collection = ? AND round = ?",
        (collection.id, SUSTAINED),
    )
    return {Item(text, copies): ms for text, copies, ms in rows}


def contended_share(store: Store, collection: Collection) -> float:
    """Of the bursts that count, how many ran beside other work on the processor, however often they were tried."""
    (share,) = store.connection.execute(
        "SELECT avg(coalesce(contention, 0) > ?) FROM bursts JOIN stretches USING (collection, round, attempt)"
        " WHERE collection = ? AND state IN ('accepted', 'drifted')",
        (collection.protocol.contention, collection.id),
    ).fetchone()
    return float(share or 0.0)


def _summaries(found: np.ndarray) -> dict[int, Summary]:
    """Of rows of item and milliseconds, sorted by item.

    Where delays are exponential, the fastest of n bursts is behind the truth by the nth part of the mean delay, and the
    gap to the second one is as wide as the nth part, too, or a little wider. One gap says little, so it counts as no
    narrower than the gaps of all items are in the mean.
    """
    numbers, starts, counts = np.unique(found[:, 0].astype(np.int64), return_index=True, return_counts=True)
    order = np.lexsort((found[:, 1], found[:, 0]))
    ordered = found[order, 1]
    fastest = ordered[starts]
    second = ordered[np.minimum(starts + 1, starts + counts - 1)]
    shares = np.where(counts > 1, second / np.maximum(fastest, 1e-300) - 1, np.nan)  # a single burst tells nothing
    usual = float(np.nanmean(shares)) if (counts > 1).any() else 0.0
    errors = fastest * np.maximum(shares, usual)
    rows = zip(numbers.tolist(), fastest.tolist(), errors.tolist(), counts.tolist(), strict=True)
    return {number: Summary(ms, error, bursts) for number, ms, error, bursts in rows}


def _latency(ms: float, error: float, bursts: int) -> Latency:
    return Latency(ms, ms - Z95 * error, ms + Z95 * error, bursts)


def _slope(chains: Sequence[tuple[int, Summary]]) -> Latency:
    """The line of least squares through the fastest bursts at each number of copies."""
    centre = sum(copies for copies, _ in chains) / len(chains)
    square = sum((copies - centre) ** 2 for copies, _ in chains)
    weighted = [((copies - centre) / square, summary) for copies, summary in chains]
    ms = sum(weight * summary.ms for weight, summary in weighted)
    error = sum((weight * summary.error) ** 2 for weight, summary in weighted) ** 0.5
    return _latency(ms, error, min(summary.bursts for _, summary in weighted))
