"""Where Core ML means to run an item, and which items it puts elsewhere than the networks that they are pieces of.

A piece alone may be put on the processor although in a network it runs on the Neural Engine: its latency is right, and
says nothing about that network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ..table.collection import Collection
from ..table.store import Store

NAMES = {"neural_engine": "Neural Engine", "gpu": "GPU", "cpu": "CPU"}
KEY = "placed_on"
"""Under which a row of a table has it."""
ASKED = {"all": "neural_engine", "cpu_and_ne": "neural_engine", "cpu_and_gpu": "gpu", "cpu_only": "cpu"}
"""What compute units are chosen for."""
LEAST_SHARE = 0.1
LISTED = 5


def placed_on(operations: Mapping[str, int], cost: Mapping[str, float]) -> str | None:
    """The devices that get a tenth of the estimated time or more, the most first, such as "neural_engine+cpu"; a tenth
    of the operations where times are not told. None where nothing is known."""
    known: Mapping[str, float] = cost if any(cost.get(name, 0) > 0 for name in NAMES) else operations
    shares = {name: known[name] for name in NAMES if known.get(name, 0) > 0}
    least = LEAST_SHARE * sum(shares.values())
    return "+".join(sorted((name for name in shares if shares[name] >= least), key=lambda name: -shares[name])) or None


def placement_lines(store: Store, collection: Collection) -> list[str]:
    """For a person; none where no placement is known."""
    rows = store.connection.execute(
        f"SELECT DISTINCT item, json_extract(more, '$.{KEY}') FROM bursts"  # noqa: S608
        f" WHERE collection = ? AND json_extract(more, '$.{KEY}') IS NOT NULL ORDER BY item",
        (collection.id,),
    )
    items = store.items(collection)
    placed = [(items[number], str(place)) for number, place in rows]
    if not placed:
        return []
    networks = Counter(place for item, place in placed if not item.copies)
    chains = Counter(place for item, place in placed if item.copies)
    lines = [f"{what} on {_counted(of)}" for what, of in (("networks", networks), ("chains", chains)) if of]
    asked = ASKED.get(str(collection.device.get("compute_units")), "neural_engine")
    usual = networks.most_common(1)[0][0] if networks else asked
    if usual != asked:
        lines.append(f"most networks are not on the {NAMES[asked]} alone, which these compute units are chosen for")
    others = [f"{words(place)}: {item}" for item, place in placed if place != usual]
    if others:
        than = "most networks" if networks else "asked for"
        lines.append(f"{len(others)} not placed as {than} ({words(usual)}); their latencies may not add up:")
        lines += [f"  {line}" for line in others[:LISTED]]
        lines += [f"  and {len(others) - LISTED} more"] if len(others) > LISTED else []
    return lines


def words(place: str) -> str:
    return " + ".join(NAMES.get(name, name) for name in place.split("+"))


def _counted(places: Counter[str]) -> str:
    return ", ".join(f"{words(place)}: {number:,}" for place, number in places.most_common())
