"""The stretches of a round: what was measured between two looks at the anchor, and whether the device was slow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

STATES = ("open", "accepted", "repeated", "drifted")


class Stretch(NamedTuple):
    """A part of a round, between two looks at the anchor; on a phone, a whole round. `state` is `open` while it is
    under way, then `accepted`, `repeated` (the anchor was slow, and its items are measured again), or `drifted` (slow,
    too, but they were repeated often enough)."""

    round: int
    attempt: int
    first_ms: float
    last_ms: float | None
    state: str
    anchor: str
    """The id of the item that was looked at."""
    items: set[int]


def looks_at(anchor: str, stretches: Iterable[Stretch]) -> list[float]:
    """Milliseconds that the item of this id took, before and after each."""
    ours = [one for one in stretches if one.anchor == anchor]
    return [ms for one in ours for ms in (one.first_ms, one.last_ms) if ms is not None]


def slow_share(stretches: Iterable[Stretch]) -> float:
    """Of all items and rounds, how many were measured on a slow device only."""
    settled = [one for one in stretches if one.state in ("accepted", "drifted")]
    total = sum(len(one.items) for one in settled)
    return sum(len(one.items) for one in settled if one.state == "drifted") / total if total else 0.0
