"""Tables out and in again, put together, compared."""

import random
import sqlite3

import msgspec
import pytest

from latency_lut.protocol import Protocol
from latency_lut.table.exchange import add_rows, compare, merge, read_rows, rows, write_rows
from latency_lut.table.latencies import Latencies
from latency_lut.table.store import Store
from supernet import SpecError
from tests.test_latency_measuring import QUICK, Scripted, chains, run


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.sqlite"
    with Store(path, create=True) as store:
        run(Scripted(), store, chains(6))
        run(Scripted(model="other"), store, chains(3))
    return path


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_there_and_back(table, tmp_path, suffix):
    file = tmp_path / f"rows{suffix}"
    with Store(table) as store, Store(tmp_path / "new.sqlite", create=True) as new:
        number = write_rows(store, file)
        assert number == 3 * 2 * (6 + 3)
        assert add_rows(new, read_rows(file), "test") == number
        assert list(rows(new)) == list(rows(store))
        assert add_rows(new, read_rows(file), "test") == 0  # twice is once
        assert list(rows(new)) == list(rows(store))
        for one, other in zip(store.collections(), new.collections(), strict=True):
            assert Latencies(new, other).slopes == Latencies(store, one).slopes


def test_a_table_of_version_1(table, tmp_path):
    """It had rounds instead of stretches, no anchors, and protocols without patience."""
    with Store(table) as store:
        before = {str(one): Latencies(store, one).slopes for one in store.collections()}
    with sqlite3.connect(table) as connection:
        connection.executescript(
            "ALTER TABLE stretches DROP COLUMN anchor; ALTER TABLE stretches RENAME TO rounds; PRAGMA user_version = 1;"
            "UPDATE collections SET protocol = json_remove(protocol, '$.patience_s')"
        )
    connection.close()
    with Store(table, create=True) as store:
        assert {str(one): Latencies(store, one).slopes for one in store.collections()} == before
        usual = msgspec.structs.replace(QUICK, patience_s=Protocol().patience_s)  # what the field is filled with
        again = store.collection(Scripted().facts, usual, "test")
        assert again.id in {one.id for one in store.collections()}
        assert len(store.collections()) == len(before)
        assert {stretch.anchor for stretch in store.stretches(again)} == {""}


def test_merging(table, tmp_path):
    with Store(table) as store, Store(tmp_path / "other.sqlite", create=True) as other:
        run(Scripted(), other, chains(8))
        merge(store, other, "test")
        merge(store, other, "test")
        assert len(store.collections()) == 2
        assert len(Latencies(store, store.find("none")).slopes) == 8


def test_two_devices_side_by_side(tmp_path):
    class Half(Scripted):
        def __init__(self):
            super().__init__(model="half")
            self.speed = 0.5

    with Store(tmp_path / "table.sqlite", create=True) as store:
        one, other = run(Scripted(), store, chains(9)), run(Half(), store, chains(7))
        ratios = compare(Latencies(store, one), Latencies(store, other))
    assert ratios[0].kind == "all"
    assert ratios[0].units == 7 == sum(ratio.units for ratio in ratios[1:])
    assert all(ratio.median == pytest.approx(2) for ratio in ratios)


def test_mutated_files_are_refused_or_read(table, tmp_path):
    """No traceback, whatever stands in the file."""
    rng = random.Random(0)
    with Store(table) as store:
        for suffix in (".csv", ".jsonl"):
            file = tmp_path / f"rows{suffix}"
            write_rows(store, file)
            content = file.read_bytes()
            refused = []
            for _ in range(60):
                damaged = bytearray(content)
                for _ in range(rng.randrange(1, 4)):
                    at = rng.randrange(len(damaged))
                    damaged[at : at + rng.randrange(3)] = bytes([rng.randrange(256)])
                file.write_bytes(damaged)
                with Store(tmp_path / "new.sqlite", create=True) as new:
                    try:
                        add_rows(new, read_rows(file), "test")
                    except SpecError as error:
                        refused.append(str(error))
                (tmp_path / "new.sqlite").unlink()
            assert len(refused) > 10
            assert not any("\n" in message for message in refused)
