"""The stretches of a round: what was measured between two looks at the anchor, and whether it counts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

STATES = ("open", "accepted", "repeated", "drifted")


class Stretch(NamedTuple):
    """A part of a round, between two looks at the anchor; on a phone, a whole round. `state` is `open` while it is
    under way, then `accepted`, `repeated` (it does not count), or `drifted` (it does, although the anchor was slow)."""

    round: int
    attempt: int
    first_ms: float
    last_ms: float | None
    state: str
    anchor: str
    """The id of the item that was looked at."""
    items: set[int]


def slow_share(stretches: Iterable[Stretch]) -> float:
    """Of the bursts that count, how many were measured while the device was slow."""
    counting = [one for one in stretches if one.state in ("accepted", "drifted")]
    total = sum(len(one.items) for one in counting)
    return sum(len(one.items) for one in counting if one.state == "drifted") / total if total else 0.0
