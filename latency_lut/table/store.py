"""The file itself: every burst is there as soon as it was measured, once, whoever is killed and whoever else writes."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from supernet.values import SpecError, UserError, first_line, printable, show

from ..devices.base import Facts
from ..items import Item
from ..protocol import Burst, Protocol
from .collection import Collection, answers, read_facts, read_protocol
from .schema import VERSION, bring_up_to_date
from .stretches import STATES, Stretch

SUSTAINED = -1
"""The round of what was measured without gaps."""
PATIENCE_S = 60.0
"""For another process that writes."""
_ERRORS = (sqlite3.Error, UnicodeError)
"""SQLite's; in a damaged file even their words can be damaged."""


class TableError(UserError, ValueError):
    """The file is no table, or does not hold what is asked for."""


class Store:
    """To be used in a `with` block: errors of SQLite that leave it become a TableError."""

    def __init__(self, path: str | Path, *, create: bool = False) -> None:
        self.path = Path(path)
        if not create and not self.path.is_file():
            raise TableError(f"{self._shown}: there is no such table")
        if create:
            self._make_place()
        try:
            self.connection = sqlite3.connect(self.path, timeout=PATIENCE_S, isolation_level=None)
        except _ERRORS as error:
            raise self._said(error) from None
        try:
            self._prepare(self.connection, create)
        except BaseException as error:
            self.close()
            if isinstance(error, _ERRORS):
                raise self._said(error) from None
            raise

    def _make_place(self) -> None:
        if self.path.exists() and not self.path.is_file():
            what = "a folder" if self.path.is_dir() else "no ordinary file"
            raise TableError(f"{self._shown}: is {what}; a table is a file")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TableError(f"{self._shown}: can't be written: {error.strerror}") from None

    def _prepare(self, connection: sqlite3.Connection, create: bool) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        tables, version = connection.execute(
            "SELECT (SELECT count(*) FROM sqlite_master), user_version FROM pragma_user_version"
        ).fetchone()
        if version > VERSION:
            raise TableError(f"{self._shown}: was written by a newer version of this program (format {version})")
        if version < 0 or (version == 0 and (tables or not create)):
            raise TableError(f"{self._shown}: is no latency table")
        if create:  # readers don't wait for writers, nor writers for readers
            connection.execute("PRAGMA journal_mode = WAL")
        if version < VERSION:
            bring_up_to_date(connection)

    @property
    def _shown(self) -> str:
        return printable(str(self.path))

    def _said(self, error: Exception) -> TableError:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            return TableError(f"{self._shown}: another process has kept it locked for {PATIENCE_S:.0f} s")
        return TableError(f"{self._shown}: can't be used as a latency table ({first_line(error)})")

    def damaged(self, what: object) -> TableError:
        return TableError(f"{self._shown}: is damaged: {what}")

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        self.close()
        if isinstance(error, _ERRORS):
            raise self._said(error) from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """All that is written within is written at once, or not at all."""
        if self.connection.in_transaction:
            yield self.connection
            return
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            yield self.connection
            self.connection.execute("COMMIT")
        except BaseException as error:
            if self.connection.in_transaction:  # a full disk may have ended it
                self.connection.execute("ROLLBACK")
            if isinstance(error, _ERRORS):
                raise self._said(error) from error
            raise

    # --- collections -------------------------------------------------------------------------------------------

    def collections(self) -> list[Collection]:
        rows = self.connection.execute("SELECT id, device, protocol FROM collections ORDER BY id")
        try:
            return [Collection(id_, read_facts(device), read_protocol(text)) for id_, device, text in rows]
        except (ValueError, TypeError, RecursionError) as error:
            raise self.damaged(first_line(error)) from None

    def collection(self, device: Facts, protocol: Protocol, tool: str) -> Collection:
        """That of a device and protocol; a new one where there is none. What was not measured is refused."""
        if "estimate" in device.values():
            raise TableError("estimates are not kept among measurements")
        texts = (_json(device), _json(msgspec.to_builtins(protocol)))
        with self.writing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO collections (device, protocol, created, tool) VALUES (?, ?, ?, ?)",
                (*texts, now(), tool),
            )
            row = connection.execute("SELECT id FROM collections WHERE device = ? AND protocol = ?", texts).fetchone()
        return Collection(row[0], device, protocol)

    def find(self, wanted: str | None = None) -> Collection:
        """The only one, or the one whose number is given or whose words hold all of the given ones."""
        known = self.collections()
        if not known:
            raise TableError(f"{printable(str(self.path))}: nothing was measured yet")
        found = [one for one in known if answers(one, wanted)] if wanted else known
        if len(found) == 1:
            return found[0]
        names = {str(one) for one in known}
        listed = "; ".join(f"{one.id}: {one if len(names) == len(known) else one.with_protocol}" for one in known)
        if not found:
            raise SpecError("device", f"{printable(str(wanted))!r} is none of the table's. It has {listed}")
        which = "which device? " if wanted is None else f"{printable(wanted)!r} can be several: "
        raise SpecError("device", f"{which}{listed}")

    # --- items and what was measured of them -------------------------------------------------------------------

    def add_items(self, items: Iterable[Item]) -> dict[Item, int]:
        """Their numbers in this file."""
        items = list(items)
        with self.writing() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO items (id, copies, text) VALUES (?, ?, ?)",
                ((item.id, item.copies, item.text) for item in items),
            )
            numbers = dict(connection.execute("SELECT id, number FROM items"))
        return {item: numbers[item.id] for item in items}

    def items(self, collection: Collection) -> dict[int, Item]:
        """Those of which something was measured."""
        rows = self.connection.execute(
            "SELECT number, id, text, copies FROM items"
            " WHERE number IN (SELECT DISTINCT item FROM bursts WHERE collection = ?)",
            (collection.id,),
        )
        return {number: self._item(*about) for number, *about in rows}

    def _item(self, id_: Any, text: Any, copies: Any) -> Item:
        item = Item(text, copies)
        if item.id != id_:  # the hash of the rest
            raise self.damaged(f"{show(copies)} x {show(text)} is another item")
        return item

    def is_measured(self, collection: Collection, item: int, round_: int, attempt: int) -> bool:
        found = self.connection.execute(
            "SELECT 1 FROM bursts WHERE collection = ? AND item = ? AND round = ? AND attempt = ?",
            (collection.id, item, round_, attempt),
        )
        return found.fetchone() is not None

    def add_burst(
        self,
        collection: Collection,
        item: int,
        round_: int,
        attempt: int,
        burst: Burst,
        more: dict[str, Any] | None = None,
        measured: str | None = None,
    ) -> None:
        """Nothing happens where it is there already."""
        text = _json(more) if more else None
        with self.writing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO bursts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (collection.id, item, round_, attempt, *burst, text, measured or now()),
            )

    def add_failure(self, collection: Collection, item: int, reason: str) -> None:
        with self.writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?)", (collection.id, item, reason, now())
            )

    def failures(self, collection: Collection) -> dict[Item, str]:
        rows = self.connection.execute(
            "SELECT id, text, copies, reason FROM failures JOIN items ON number = item WHERE collection = ?",
            (collection.id,),
        )
        return {self._item(*about): printable(str(reason)) for *about, reason in rows}

    def forget_failures(self, collection: Collection, items: Iterable[int]) -> None:
        """Of items that are tried again."""
        with self.writing() as connection:
            connection.executemany(
                "DELETE FROM failures WHERE collection = ? AND item = ?", ((collection.id, item) for item in items)
            )

    # --- stretches of rounds -------------------------------------------------------------------------------------

    def stretches(self, collection: Collection, round_: int | None = None) -> list[Stretch]:
        """Of one round, or of all."""
        values = (collection.id, round_)
        items: dict[tuple[int, int], set[int]] = defaultdict(set)
        for number, attempt, item in self.connection.execute(
            "SELECT round, attempt, item FROM bursts WHERE collection = ?1 AND (?2 IS NULL OR round = ?2)", values
        ):
            items[number, attempt].add(item)
        rows = self.connection.execute(
            "SELECT round, attempt, anchor_first_ms, anchor_last_ms, state, anchor FROM stretches"
            " WHERE collection = ?1 AND (?2 IS NULL OR round = ?2) ORDER BY round, attempt",
            values,
        )
        found = []
        for number, attempt, first_ms, last_ms, state, anchor in rows:
            if state not in STATES or not isinstance(first_ms, float) or not isinstance(last_ms, float | None):
                raise self.damaged(f"round {show(number)} is {show(state)} from {show(first_ms)} to {show(last_ms)} ms")
            found.append(Stretch(number, attempt, first_ms, last_ms, state, str(anchor), items[number, attempt]))
        return found

    def is_open(self, collection: Collection, round_: int, attempt: int) -> bool:
        found = self.connection.execute(
            "SELECT 1 FROM stretches WHERE collection = ? AND round = ? AND attempt = ? AND state = 'open'",
            (collection.id, round_, attempt),
        )
        return found.fetchone() is not None

    def begin_stretch(self, collection: Collection, round_: int, anchor: str, anchor_ms: float) -> int:
        """Its attempt: that of the one with this anchor which is open, or a new one."""
        with self.writing() as connection:
            found = connection.execute(
                "SELECT attempt FROM stretches WHERE collection = ? AND round = ? AND anchor = ? AND state = 'open'",
                (collection.id, round_, anchor),
            ).fetchone()
            return int(found[0]) if found else self.new_stretch(connection, collection, round_, anchor, anchor_ms)

    @staticmethod
    def new_stretch(
        connection: sqlite3.Connection, collection: Collection, round_: int, anchor: str, anchor_ms: float
    ) -> int:
        (attempt,) = connection.execute(
            "SELECT coalesce(max(attempt) + 1, 0) FROM stretches WHERE collection = ? AND round = ?",
            (collection.id, round_),
        ).fetchone()
        connection.execute(
            "INSERT INTO stretches VALUES (?, ?, ?, ?, NULL, 'open', ?)",
            (collection.id, round_, attempt, anchor_ms, anchor),
        )
        return int(attempt)

    def end_stretch(self, collection: Collection, round_: int, attempt: int, anchor_ms: float, state: str) -> None:
        """What was accepted may still be found slow, but what is measured again stays so: whichever of two processes
        ends it, an item is settled by one stretch of a round."""
        place = (collection.id, round_, attempt)
        with self.writing() as connection:
            connection.execute(
                "UPDATE stretches SET anchor_last_ms = ?, state = ? WHERE collection = ? AND round = ? AND attempt = ?"
                " AND (state = 'open' OR (state = 'accepted' AND ? != 'open'))",
                (anchor_ms, state, *place, state),
            )

    def drop_stretch(self, collection: Collection, round_: int, attempt: int) -> None:
        """Where nothing was measured in it."""
        with self.writing() as connection:
            connection.execute(
                "DELETE FROM stretches WHERE collection = ?1 AND round = ?2 AND attempt = ?3 AND NOT EXISTS"
                " (SELECT 1 FROM bursts WHERE collection = ?1 AND round = ?2 AND attempt = ?3)",
                (collection.id, round_, attempt),
            )


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
