"""The tables of the file, and how files of older versions become files of this one."""

from __future__ import annotations

import json
import sqlite3

import msgspec

from ..protocol import Protocol

VERSION = 2

CREATE = """
CREATE TABLE collections (
    id INTEGER PRIMARY KEY,
    device TEXT NOT NULL,           -- JSON: what tells it from other devices
    protocol TEXT NOT NULL,         -- JSON
    created TEXT NOT NULL,
    tool TEXT NOT NULL,
    UNIQUE (device, protocol)
);
CREATE TABLE items (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    copies INTEGER NOT NULL,        -- 0: a whole network
    text TEXT NOT NULL              -- the key of a unit, or a network's YAML
);
CREATE TABLE stretches (         -- of a round, between two looks at the anchor; on a phone, a whole round
    collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    round INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    anchor_first_ms REAL NOT NULL,
    anchor_last_ms REAL,            -- NULL: under way
    state TEXT NOT NULL,            -- open, accepted, drifted (slow), repeated (slow, measured again)
    anchor TEXT NOT NULL DEFAULT '', -- id of the item that was looked at; plans of other spaces have others
    PRIMARY KEY (collection, round, attempt)
) WITHOUT ROWID;
CREATE TABLE bursts (
    collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    item INTEGER NOT NULL REFERENCES items (number),
    round INTEGER NOT NULL,         -- -1: sustained
    attempt INTEGER NOT NULL,
    median_ms REAL NOT NULL,
    low_ms REAL NOT NULL,
    high_ms REAL NOT NULL,
    runs INTEGER NOT NULL,
    contention REAL,
    more TEXT,                      -- JSON: what the device tells besides, such as placement and thermal state
    measured TEXT NOT NULL,
    PRIMARY KEY (collection, item, round, attempt)
) WITHOUT ROWID;
CREATE TABLE failures (
    collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    item INTEGER NOT NULL REFERENCES items (number),
    reason TEXT NOT NULL,
    measured TEXT NOT NULL,
    PRIMARY KEY (collection, item)
) WITHOUT ROWID;
"""

MIGRATIONS: dict[int, str] = {
    1: """
ALTER TABLE rounds RENAME TO stretches;
ALTER TABLE stretches ADD COLUMN anchor TEXT NOT NULL DEFAULT ''"""
}
"""From a version to the next one."""


def bring_up_to_date(connection: sqlite3.Connection) -> None:
    """In one transaction: a file is of one version or of the next, never between."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        steps = [CREATE] if version == 0 else [MIGRATIONS[old] for old in range(version, VERSION)]
        for step in steps:
            for statement in step.split(";\n"):
                if statement.strip():
                    connection.execute(statement)
        if version:
            _complete_protocols(connection)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _complete_protocols(connection: sqlite3.Connection) -> None:
    """With the fields that came later: collections are found by the whole text."""
    for id_, text in connection.execute("SELECT id, protocol FROM collections").fetchall():
        whole = json.dumps(msgspec.to_builtins(Protocol(**json.loads(text))), separators=(",", ":"))
        connection.execute("UPDATE OR IGNORE collections SET protocol = ? WHERE id = ?", (whole, id_))
