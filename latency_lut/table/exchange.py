"""Tables as files that other programs read, tables put together, and two devices side by side."""

from __future__ import annotations

import csv
import functools
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from supernet.values import SpecError, first_line, printable, show
from supernet.whole_files import whole_file

from ..items import Item
from ..protocol import Burst, Protocol
from ..units import read_key
from .collection import Collection, read_facts, read_protocol
from .latencies import Latencies
from .placing import place_stretch
from .store import Store, TableError
from .stretches import STATES

_COLUMNS = {
    "device": str,
    "protocol": str,
    "copies": int,
    "text": str,
    "round": int,
    "attempt": int,
    "state": str,
    "anchor": str,
    "anchor_first_ms": float,
    "anchor_last_ms": float,
    "median_ms": float,
    "low_ms": float,
    "high_ms": float,
    "runs": int,
    "contention": float,
    "more": str,
    "measured": str,
}
_OPTIONAL = ("state", "anchor", "anchor_first_ms", "anchor_last_ms", "contention", "more")
_BEYOND = 2.0**62
"""No figure is so large, and SQLite keeps whole numbers up to twice that."""
_read_key = functools.lru_cache(10_000)(read_key)
_QUERY = (
    "SELECT c.device, c.protocol, i.copies, i.text, b.round, b.attempt, s.state, s.anchor,"
    " s.anchor_first_ms, s.anchor_last_ms, b.median_ms, b.low_ms, b.high_ms, b.runs, b.contention, b.more, b.measured"
    " FROM bursts b JOIN collections c ON c.id = b.collection JOIN items i ON i.number = b.item"
    " LEFT JOIN stretches s ON s.collection = b.collection AND s.round = b.round AND s.attempt = b.attempt"
    " ORDER BY c.id, b.round, i.number, b.attempt"
)


def rows(store: Store) -> Iterator[dict[str, Any]]:
    """One for each burst, with all that it belongs to."""
    for values in store.connection.execute(_QUERY):
        row = dict(zip(_COLUMNS, values, strict=True))
        for name, value in row.items():
            if not isinstance(value, _COLUMNS[name]) and not (value is None and name in _OPTIONAL):
                raise store.damaged(f"{show(value)} can't stand as {name}")
        yield row


def write_rows(store: Store, path: Path) -> int:
    """CSV, or JSON lines, by the suffix. How many rows there are."""
    suffix = _suffix(path)
    number = 0
    with whole_file(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(_COLUMNS))
        if suffix == ".csv":
            table.writeheader()
        for row in rows(store):
            number += 1
            if suffix == ".csv":
                table.writerow(row)
            else:
                file.write(json.dumps(row) + "\n")
    return number


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The way back; SpecError names the line that can't be read."""
    suffix, shown = _suffix(path), printable(str(path))
    try:
        with path.open(encoding="utf-8", newline="") as file:
            found: Iterable[Any] = csv.DictReader(file) if suffix == ".csv" else map(json.loads, file)
            for number, row in enumerate(found, 2 if suffix == ".csv" else 1):
                yield _checked(row, f"{shown}, line {number}")
    except OSError as error:
        raise SpecError(shown, f"can't be read: {error.strerror}") from None
    except (ValueError, RecursionError, csv.Error) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(shown, f"is no table of this program: {first_line(error)}") from None


def _suffix(path: Path) -> str:
    if path.suffix not in (".csv", ".jsonl"):
        raise SpecError(printable(path.name), "the suffix is not one of .csv, .jsonl")
    return path.suffix


def _checked(row: Any, where: str) -> dict[str, Any]:
    if not isinstance(row, dict) or set(row) != set(_COLUMNS):
        raise SpecError(where, f"its columns are not {', '.join(_COLUMNS)}")
    found: dict[str, Any] = {}
    for name, kind in _COLUMNS.items():
        value = row[name]
        if value in (None, "") and name in _OPTIONAL:
            found[name] = None
            continue
        try:
            found[name] = kind(value)
            if kind is not str and not abs(found[name]) < _BEYOND:  # not a number is no figure either
                raise ValueError
        except (TypeError, ValueError, OverflowError):
            raise SpecError(f"{where}, {name}", f"{show(value)} can't stand here") from None
    state, first_ms = found["state"], found["anchor_first_ms"]
    if (state is None) != (first_ms is None) or state not in (None, *STATES):
        raise SpecError(f"{where}, state", f"{show(state)} with an anchor of {show(first_ms)} ms can't stand here")
    try:
        found["device"] = read_facts(found["device"])
        found["protocol"] = read_protocol(found["protocol"])
        found["more"] = json.loads(found["more"]) if found["more"] else None
        if found["copies"]:
            _read_key(found["text"])
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise SpecError(where, first_line(error)) from None
    return found


def add_rows(store: Store, found: Iterable[dict[str, Any]], tool: str) -> int:
    """All or nothing. What is there already stays as it is. How many rows are new.

    Stretches that were measured by somebody else get numbers of their own: two tables of one device are united.
    """
    found = list(found)
    collections: dict[tuple[str, Protocol], Collection] = {}
    places: dict[tuple[Any, ...], int] = {}
    with store.writing() as connection:
        (before,) = connection.execute("SELECT count(*) FROM bursts").fetchone()
        numbers = store.add_items(dict.fromkeys(Item(row["text"], row["copies"]) for row in found))
        for row in found:
            who = (json.dumps(row["device"]), row["protocol"])
            if who not in collections:
                collections[who] = store.collection(row["device"], row["protocol"], tool)
            collection, number = collections[who], numbers[Item(row["text"], row["copies"])]
            attempt = row["attempt"]
            if row["state"] is not None:
                place = (collection.id, row["round"], attempt)
                if place not in places:
                    looks_ms = (row["anchor_first_ms"], row["anchor_last_ms"])
                    others = [number for other, number in places.items() if other[:2] == place[:2]]
                    places[place] = place_stretch(
                        store, collection, row["round"], attempt, row["anchor"] or "", looks_ms, row["state"], others
                    )
                attempt = places[place]
            burst = Burst(*(row[name] for name in Burst._fields))
            store.add_burst(collection, number, row["round"], attempt, burst, row["more"], row["measured"])
        (after,) = connection.execute("SELECT count(*) FROM bursts").fetchone()
    return int(after - before)


def merge(into: Store, other: Store, tool: str) -> int:
    where = printable(str(other.path))
    return add_rows(into, (_checked(row, where) for row in rows(other)), tool)


class Ratio(NamedTuple):
    """Second / first, over the units of a kind that both have."""

    kind: str
    units: int
    median: float
    low: float
    high: float


def compare(first: Latencies, second: Latencies) -> list[Ratio]:
    if first.collection.device.get("dtype") != second.collection.device.get("dtype"):
        dtypes = [str(one.collection.device.get("dtype")) for one in (first, second)]
        raise TableError(f"{dtypes[0]} and {dtypes[1]} are not compared")
    by_kind: dict[str, list[float]] = defaultdict(list)
    for key, latency in first.slopes.items():
        other = second.slopes.get(key)
        if other is not None and latency.ms > 0:
            by_kind[read_key(key).kind].append(other.ms / latency.ms)
    if not by_kind:
        raise TableError("the two have no unit in common")
    ratios = {"all": [ratio for found in by_kind.values() for ratio in found], **dict(sorted(by_kind.items()))}
    return [
        Ratio(kind, len(found), *(float(np.quantile(found, share)) for share in (0.5, 0.25, 0.75)))
        for kind, found in ratios.items()
    ]
