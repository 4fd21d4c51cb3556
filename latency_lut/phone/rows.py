"""What a phone measured as rows of a table: one for each burst that counts, with all that says how far it holds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ..command import TOOL
from ..devices.base import Facts
from ..plan import Plan
from ..protocol import Burst, Protocol, summary
from ..table.collection import Collection
from ..table.placing import place_stretch
from ..table.store import SUSTAINED, Store
from .placement import KEY, placed_on
from .results import BurstEvent, DeviceEvent, ItemResults, Measured, PhoneResults

SUSTAINED_ATTEMPT = 0


class Stored(NamedTuple):
    collection: Collection
    bursts: int
    """All that the results have."""
    new: int
    foreign: int
    """Items that the plan does not have."""


def phone_facts(device: DeviceEvent, compute_units: str, target: str | None = None) -> Facts:
    """`target` is the oldest system that the packages are made for: it decides what Core ML makes of them."""
    facts: Facts = {
        "device": "coreml",
        "model": device.model,
        "system": device.os,
        "compute_units": compute_units,
        "dtype": "fp16",
    }
    return facts if target is None else facts | {"target": target}


def store_results(
    store: Store, plan: Plan, results: PhoneResults, protocol: Protocol, compute_units: str, target: str | None = None
) -> Stored:
    """All or nothing. What is there already stays as it is."""
    by_id = {item.id: item for item in plan.items}
    known = {by_id[id_]: found for id_, found in results.items.items() if id_ in by_id}
    with store.writing() as connection:
        collection = store.collection(phone_facts(results.device, compute_units, target), protocol, TOOL)
        numbers = store.add_items(plan.items)
        places = _store_rounds(store, collection, plan.anchor.id, results)
        bursts = 0
        count = "SELECT count(*) FROM bursts WHERE collection = ?"
        before = connection.execute(count, (collection.id,)).fetchone()[0]
        for item, found in known.items():
            for round_, attempt, burst, more, at in _rows(item == plan.anchor, found, results):
                place = (round_, places.get((round_, attempt), attempt))
                store.add_burst(collection, numbers[item], *place, burst, more, at)
                bursts += 1
            if found.failed is not None:
                store.add_failure(collection, numbers[item], found.failed)
        after = connection.execute(count, (collection.id,)).fetchone()[0]
    return Stored(collection, bursts, after - before, len(results.items) - len(known))


def _store_rounds(
    store: Store, collection: Collection, anchor: str, results: PhoneResults
) -> dict[tuple[int, int], int]:
    """The attempt that each has in the table: another job's round of the same number is another stretch."""
    places = {}
    for event in results.rounds.values():
        looks_ms = event.anchor_ms or (0.0,)
        state = "drifted" if event.drifted else "accepted"
        looks = (looks_ms[0], looks_ms[-1])
        places[event.round, event.attempt] = place_stretch(
            store, collection, event.round, event.attempt, anchor, looks, state
        )
    return places


def _rows(
    is_anchor: bool, found: ItemResults, results: PhoneResults
) -> Iterator[tuple[int, int, Burst, dict[str, Any], str | None]]:
    """One a round (of the anchor's several, the first), and the sustained one."""
    placement: dict[str, Any] = {}
    if found.placement is not None:
        place = placed_on(found.placement.operations, found.placement.cost)
        placement = {"operations": found.placement.operations, "cost": found.placement.cost}
        placement |= {KEY: place} if place else {}
    rounds: dict[int, BurstEvent] = {}
    for event in found.bursts:
        if not (is_anchor and event.round in rounds):
            rounds[event.round] = event
    measured: list[tuple[int, int, Measured]] = [(one.round, one.attempt, one) for one in rounds.values()]
    measured += [] if found.sustained is None else [(SUSTAINED, SUSTAINED_ATTEMPT, found.sustained)]
    for round_, attempt, one in measured:
        yield round_, attempt, summary(list(one.samples_ms)), _state(one) | placement, _time(results.started(one))


def _state(event: Measured) -> dict[str, Any]:
    return {
        "thermal_before": event.thermal_before,
        "thermal_after": event.thermal_after,
        "low_power": event.low_power,
        "load_ms": event.load_ms,
        "compile_ms": event.compile_ms,
    }


def _time(text: str) -> str | None:
    """As tables have it; None where it is no time."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        return None
