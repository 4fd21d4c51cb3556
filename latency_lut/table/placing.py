"""Where a stretch that was measured elsewhere stands in this table."""

from __future__ import annotations

from collections.abc import Collection

from .collection import Collection as Measured
from .store import Store


def place_stretch(
    store: Store,
    collection: Measured,
    round_: int,
    attempt: int,
    anchor: str,
    looks_ms: tuple[float, float | None],
    state: str,
    others: Collection[int] = (),
) -> int:
    """Its attempt here. It is known by its anchor's first time; where another one has its number, it gets a new one.
    `others` are attempts of that round that came with it, and are other stretches even if their times are the same."""
    first_ms, last_ms = looks_ms
    alike = "SELECT attempt FROM stretches WHERE collection = ? AND round = ? AND anchor = ? AND anchor_first_ms = ?"
    place = (collection.id, round_)
    with store.writing() as connection:
        rows = connection.execute(f"{alike} ORDER BY attempt != ?, attempt", (*place, anchor, first_ms, attempt))
        found = [number for (number,) in rows if number not in others]
        taken = connection.execute(
            "SELECT 1 FROM stretches WHERE collection = ? AND round = ? AND attempt = ?", (*place, attempt)
        ).fetchone()
        if taken and found:
            attempt = found[0]
        elif taken:
            attempt = store.new_stretch(connection, collection, round_, anchor, first_ms)
        else:
            connection.execute(
                "INSERT INTO stretches VALUES (?, ?, ?, ?, NULL, 'open', ?)", (*place, attempt, first_ms, anchor)
            )
        if last_ms is not None:
            store.end_stretch(collection, round_, attempt, last_ms, state)
    return attempt
