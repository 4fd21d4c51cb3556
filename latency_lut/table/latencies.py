"""From bursts to milliseconds: of items, and of units by the slope over the copies in a chain."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..items import Item
from ..units import Unit
from .store import SUSTAINED, Collection, Store

Z95 = 1.96
_LONGEST_MS = 1e9


class Latency(NamedTuple):
    """`low_ms` and `high_ms` hold the truth with 95 %, as far as the rounds differ by chance only."""

    ms: float
    low_ms: float
    high_ms: float
    rounds: int


class Summary(NamedTuple):
    """The median over rounds, and its standard error."""

    ms: float
    error: float
    rounds: int


class Latencies:
    """Of one collection, from stretches that count."""

    def __init__(self, store: Store, collection: Collection) -> None:
        self.collection = collection
        query = (
            "SELECT b.item, b.median_ms FROM bursts b JOIN stretches s"
            " ON s.collection = b.collection AND s.round = b.round AND s.attempt = b.attempt"
            " WHERE b.collection = ? AND s.state IN ('accepted', 'drifted', 'open') ORDER BY b.item"
        )
        rows = store.connection.execute(query, (collection.id,)).fetchall()
        self.items = store.items(collection)
        if not all(number in self.items and isinstance(ms, float) and 0 <= ms < _LONGEST_MS for number, ms in rows):
            raise store.damaged("a burst is of no item, or took a time that can't be")
        self.number_of = {item: number for number, item in self.items.items()}
        self._summaries = _summaries(np.array(rows, dtype=np.float64).reshape(-1, 2))
        self.sustained = sustained_ms(store, collection)
        """Milliseconds of whole networks without a pause, where that was measured."""

    def of(self, item: Item) -> Latency | None:
        """The median over rounds; its interval from their spread."""
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
    """Of rows of item and milliseconds, sorted by item."""
    numbers, starts, counts = np.unique(found[:, 0].astype(np.int64), return_index=True, return_counts=True)
    summaries: dict[int, Summary] = {}
    for count in np.unique(counts):
        alike = counts == count
        samples = found[starts[alike][:, None] + np.arange(count), 1]
        medians = np.median(samples, axis=1)
        spreads = 1.4826 * np.median(np.abs(samples - medians[:, None]), axis=1)
        # Of the median; a single round tells nothing.
        errors = 1.2533 * spreads / count**0.5 if count > 1 else np.full(len(medians), np.nan)
        rows = zip(numbers[alike].tolist(), medians.tolist(), errors.tolist(), strict=True)
        summaries |= {number: Summary(median, error, int(count)) for number, median, error in rows}
    return summaries


def _latency(ms: float, error: float, rounds: int) -> Latency:
    return Latency(ms, ms - Z95 * error, ms + Z95 * error, rounds)


def _slope(chains: Sequence[tuple[int, Summary]]) -> Latency:
    """The line of least squares through the medians at each number of copies."""
    centre = sum(copies for copies, _ in chains) / len(chains)
    square = sum((copies - centre) ** 2 for copies, _ in chains)
    weighted = [((copies - centre) / square, summary) for copies, summary in chains]
    ms = sum(weight * summary.ms for weight, summary in weighted)
    error = sum((weight * summary.error) ** 2 for weight, summary in weighted) ** 0.5
    return _latency(ms, error, min(summary.rounds for _, summary in weighted))
