"""Rounds on a device whose times are known: drift, contention, failures, being killed and going on."""

import contextlib
import json
import random
import sqlite3

import msgspec
import pytest

from latency_lut.__main__ import main as command_line
from latency_lut.devices.base import Device
from latency_lut.items import Item, chain, network
from latency_lut.lookup import LatencyTable
from latency_lut.measuring import FIRST_LOOKS, measure
from latency_lut.plan import Plan, save_plan
from latency_lut.protocol import Protocol, burst
from latency_lut.table.exchange import merge
from latency_lut.table.latencies import Latencies, contended_share
from latency_lut.table.store import Store, TableError
from latency_lut.table.stretches import slow_share
from latency_lut.units import space_units, units
from supernet import SpecError, load_space

SPACE = load_space("tiny")
UNITS = space_units(SPACE)
ANCHOR = network(SPACE.smallest())
QUICK = Protocol(rounds=3, warm_up=1, burst_runs=3, burst_ms=0, round_repeats=2, burst_repeats=2, patience_s=0)


def unit_ms(unit):
    return random.Random(unit.key).uniform(0.1, 2)


def item_ms(item):
    """0.3 ms for a run, and each unit's own time."""
    if item.copies:
        return 0.3 + item.copies * unit_ms(item.unit)
    return 0.3 + 0.9 * sum(map(unit_ms, units(item.spec)))


class Scripted(Device):
    """Its clock stands still but for what runs on it."""

    def __init__(self, **facts):
        self.now, self.busy, self.speed, self.loads, self.other = 0.0, 0.0, 1.0, 0, {}
        self.more = facts

    @property
    def facts(self):
        return {"device": "scripted", "model": "none", "threads": 1, **self.more}

    @property
    def clocks(self):
        return lambda: (self.now, self.busy)

    def ready(self, item, file, batch):
        self.loads += 1
        if item in self.other:
            raise self.other[item]

        def run():
            spent = item_ms(item) / 1e3 / self.speed
            self.now, self.busy = self.now + spent, self.busy + spent

        return run


ITEMS = [chain(unit, copies) for unit in UNITS[:8] for copies in (1, 4)]


def run(device, store, items, protocol=QUICK, **options):
    return measure(items, ANCHOR, device, store, protocol, lambda item: None, "test", **options)


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "table.sqlite", create=True) as store:
        yield store


def chains(number=8):
    return [chain(unit, copies) for unit in UNITS[:number] for copies in (1, 4)]


def test_slopes_are_the_units(store):
    collection = run(Scripted(), store, chains())
    found = Latencies(store, collection)
    assert len(found.slopes) == 8
    for unit in UNITS[:8]:
        assert found.slope(unit).ms == pytest.approx(unit_ms(unit))
        assert found.slope(unit).bursts == 3
    assert {one.state for one in store.stretches(collection)} == {"accepted"}
    assert [len(one.items) for one in store.stretches(collection)] == [10, 6] * 3


def test_a_table_predicts_networks(tmp_path):
    networks = [network(spec) for spec in SPACE.members(random.Random(0), 12)]
    with Store(tmp_path / "table.sqlite", create=True) as store:
        run(Scripted(), store, [chain(unit, copies) for unit in UNITS for copies in (1, 4)] + networks)
    table = LatencyTable(tmp_path / "table.sqlite")
    assert table.fit.offset_ms == pytest.approx(0.3)
    assert table.fit.factor == pytest.approx(0.9)
    unseen = SPACE.members(random.Random(5), 30)
    for spec in unseen:
        ms, low, high = table.latency_ms(spec)
        assert ms == pytest.approx(item_ms(network(spec)))
        assert low <= ms <= high
    found = table.latencies_ms(SPACE, [SPACE.encode(spec) for spec in unseen])
    assert found == pytest.approx([table.latency_ms(spec).ms for spec in unseen])


def test_a_new_device_from_few_networks(tmp_path, capsys):
    """Twice as slow, and blocks with attention five times: units of the known one, networks of the new one."""

    class Other(Scripted):
        def ready(self, item, file, batch):
            spent = sum((5 if "modulation" in unit.kind else 2) * unit_ms(unit) for unit in units(item.spec)) / 1e3

            def run():
                self.now, self.busy = self.now + spent, self.busy + spent

            return run

    networks = [network(spec) for spec in SPACE.members(random.Random(3), 30)]
    with Store(tmp_path / "known.sqlite", create=True) as store:
        run(Scripted(), store, [chain(unit, copies) for unit in UNITS for copies in (1, 4)])
    with Store(tmp_path / "new.sqlite", create=True) as store:
        run(Other(model="new"), store, networks)
    known = LatencyTable(tmp_path / "known.sqlite")
    new = LatencyTable(tmp_path / "new.sqlite", units_from=known)
    for spec in SPACE.members(random.Random(9), 10):
        expected = sum((5 if "modulation" in unit.kind else 2) * unit_ms(unit) for unit in units(spec))
        assert new.latency_ms(spec).ms == pytest.approx(expected, rel=0.01)
        assert new.latencies_ms(SPACE, [SPACE.encode(spec)])[0] == pytest.approx(new.latency_ms(spec).ms)
    assert command_line(["transfer", str(tmp_path / "known.sqlite"), str(tmp_path / "new.sqlite"), "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["networks"] for row in rows] == [5, 10, 20]
    assert rows[-1]["mape"] < 0.01
    assert rows[-1]["mape"] <= rows[0]["mape"]


class Moody(Scripted):
    """Slow while it loads what is within the given limits, counted from its start."""

    def __init__(self, first, last, calm=1.0):
        super().__init__()
        self.first, self.last, self.calm = first, last, calm

    def ready(self, item, file, batch):
        self.speed = 0.7 if self.first <= self.loads < self.last else self.calm
        return super().ready(item, file, batch)


def states(store, collection):
    return [(one.round, one.attempt, one.state) for one in store.stretches(collection)]


def test_what_was_measured_on_a_slow_device_is_measured_again(store):
    device = Moody(20, 31)  # from the middle of the second stretch on
    collection = run(device, store, chains())
    assert states(store, collection)[:5] == [
        (0, 0, "accepted"),
        (0, 1, "repeated"),
        (0, 2, "repeated"),
        (0, 3, "accepted"),
        (1, 0, "accepted"),
    ]
    assert slow_share(store.stretches(collection)) == 0
    assert Latencies(store, collection).slope(UNITS[0]).ms == pytest.approx(unit_ms(UNITS[0]))
    assert all(len(one.items) in (6, 10) for one in store.stretches(collection))


def test_what_was_accepted_before_the_device_was_seen_at_its_fastest(store):
    """It is slow from the start, and fast from the second round on."""
    collection = run(Moody(0, 40), store, chains())
    first = [one.state for one in store.stretches(collection, 0)]
    assert "repeated" in first
    assert first[-1] == "accepted"
    assert slow_share(store.stretches(collection)) == 0
    assert min(latency.bursts for latency in Latencies(store, collection).slopes.values()) > 3
    for unit in UNITS[:8]:
        assert Latencies(store, collection).slope(unit).ms == pytest.approx(unit_ms(unit))


def test_a_device_that_stays_slow_is_said(store):
    """All is kept in the end, and told apart."""
    collection = run(Moody(12, 10**9), store, chains())
    assert slow_share(store.stretches(collection)) == pytest.approx(1)
    assert [state for _, _, state in states(store, collection)][:3] == ["repeated", "repeated", "drifted"]
    assert {latency.bursts for latency in Latencies(store, collection).slopes.values()} == {9}


def test_a_device_that_was_faster_elsewhere(store, tmp_path):
    """One network alone, while the device is slow from first to last: the table knows how fast it can be."""
    run(Scripted(), store, [ANCHOR, *ITEMS])
    table = LatencyTable(store.path)
    assert table.anchor == ANCHOR
    slow = Scripted()
    slow.speed = 0.5
    with Store(tmp_path / "one.sqlite", create=True) as other:
        assert slow_share(other.stretches(run(slow, other, ITEMS[:1]))) == 0, "it can't know"
    with Store(tmp_path / "two.sqlite", create=True) as other:
        collection = run(slow, other, ITEMS[:1], looks_ms=table.looks_ms(ANCHOR))
        assert slow_share(other.stretches(collection)) == 1


def test_a_device_that_is_slow_most_of_the_time(store):
    """One fast burst of an item is enough, whatever the anchor showed before and after."""

    class Busy(Scripted):
        def ready(self, item, file, batch):
            self.speed = 1.0 if rng.random() < 0.3 else rng.uniform(0.6, 0.95)
            return super().ready(item, file, batch)

    rng = random.Random(0)
    patient = msgspec.structs.replace(QUICK, rounds=6)
    found = Latencies(store, run(Busy(), store, chains(), patient))
    assert [found.slope(unit).ms for unit in UNITS[:8]] == pytest.approx([unit_ms(unit) for unit in UNITS[:8]])
    for slope in found.slopes.values():
        assert slope.low_ms < slope.ms < slope.high_ms


def test_it_waits_for_a_slow_device_as_long_as_it_has_patience(store, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("latency_lut.measuring.time.monotonic", lambda: now[0])
    monkeypatch.setattr("latency_lut.measuring.time.sleep", lambda s: now.__setitem__(0, now[0] + s))
    patient = msgspec.structs.replace(QUICK, patience_s=3)
    collection = run(Moody(20, 26), store, chains(), patient)
    assert "drifted" not in [state for _, _, state in states(store, collection)]
    assert 0 < now[0] <= 2
    now[0] = 0
    run(Moody(12, 10**9), store, chains(5), msgspec.structs.replace(patient, seed=1))
    assert now[0] == pytest.approx(3)


def test_bursts_beside_other_work_are_counted(store):
    class Shared(Scripted):
        """Every fourth item never has the processor for itself."""

        def ready(self, item, file, batch):
            run_alone, waits = super().ready(item, file, batch), ITEMS.index(item) % 4 == 0 if item in ITEMS else False

            def run():
                run_alone()
                self.now += 0.01 * waits

            return run

    collection = run(Shared(), store, ITEMS)
    assert contended_share(store, collection) == pytest.approx(0.25)


@pytest.mark.parametrize("first", [0, 1])
def test_several_spaces_in_one_table(first, store):
    """Each plan has an anchor of its own: one that takes longer is no sign of a slow device."""
    plans = [(chains(4), ANCHOR), (chains(8)[8:], network(SPACE.largest()))]
    for items, anchor in (plans[first], plans[1 - first]):
        collection = measure(items, anchor, Scripted(), store, QUICK, lambda item: None, "test")
    assert {one.state for one in store.stretches(collection)} == {"accepted"}
    assert {one.anchor for one in store.stretches(collection)} == {anchor.id for _, anchor in plans}
    found = Latencies(store, collection)
    assert {latency.bursts for latency in found.slopes.values()} == {3}
    assert len(found.slopes) == 8


@pytest.mark.parametrize("first", [0, 1])
def test_tables_of_one_device_are_united(first, tmp_path):
    """Measured by two people, one on a device that was slow at first; in either order, and twice."""
    parts = [
        (chains(4), Scripted()),
        (chains(8)[8:], Moody(12, 17, calm=0.999)),
    ]  # no two stretches begin with the same time of the anchor
    names = ["a.sqlite", "b.sqlite"]
    for name, (items, device) in zip(names, parts, strict=True):
        with Store(tmp_path / name, create=True) as store:
            run(device, store, items)
    with Store(tmp_path / names[first]) as into, Store(tmp_path / names[1 - first]) as other:
        before = into.connection.execute("SELECT count(*) FROM bursts").fetchone()[0]
        theirs = other.connection.execute("SELECT count(*) FROM bursts").fetchone()[0]
        assert merge(into, other, "test") == theirs
        assert merge(into, other, "test") == 0
        assert into.connection.execute("SELECT count(*) FROM bursts").fetchone()[0] == before + theirs
        found = Latencies(into, into.find())
        assert {latency.bursts for latency in found.slopes.values()} == {3, 5}
        for unit in UNITS[:8]:
            assert found.slope(unit).ms == pytest.approx(unit_ms(unit), rel=0.01)


def test_what_another_process_ends_meanwhile_is_not_measured_twice(tmp_path):
    """While this one looks whether the device is fast, the other measures all."""

    class Other(Scripted):
        def ready(self, item, file, batch):
            if self.loads == FIRST_LOOKS:
                with Store(tmp_path / "t.sqlite") as store:
                    run(Scripted(), store, chains())
            return super().ready(item, file, batch)

    with Store(tmp_path / "t.sqlite", create=True) as store:
        collection = run(Other(), store, chains())
        assert states(store, collection) == [(round_, attempt, "accepted") for round_ in range(3) for attempt in (0, 1)]
        assert [len(one.items) for one in store.stretches(collection)] == [10, 6] * 3


def test_an_anchor_that_fails_is_said(store):
    device = Scripted()
    device.other[ANCHOR] = RuntimeError("no room")
    with pytest.raises(SpecError, match=r"^the anchor, network .*: can't be measured: no room$"):
        run(device, store, chains())


def test_what_fails_stops_nothing(store):
    device, items = Scripted(), chains()
    device.other[items[3]] = RuntimeError("no such\noperator")
    collection = run(device, store, items)
    assert store.failures(collection) == {items[3]: "no such"}
    assert items[3] not in Latencies(store, collection).items.values()
    assert len(Latencies(store, collection).slopes) == 7
    del device.other[items[3]]
    collection = run(device, store, items)
    assert not store.failures(collection)
    assert len(Latencies(store, collection).slopes) == 8
    assert {latency.bursts for latency in Latencies(store, collection).slopes.values()} == {3}


def test_what_fails_is_tried_again_by_the_same_command(tmp_path, monkeypatch, capsys):
    items, device = chains(3), Scripted()
    save_plan(Plan(("tiny",), (ANCHOR, *items), ANCHOR), tmp_path / "plan")
    save_plan(Plan(("tiny",), (ANCHOR, items[0]), ANCHOR), tmp_path / "other")
    monkeypatch.setattr("latency_lut.command.make_device", lambda args: device)

    def measured(plan):
        quick = [part for name in ("rounds=2", "burst_runs=3", "burst_ms=0") for part in ("--protocol", name)]
        status = command_line(["measure", str(tmp_path / plan), "--table", str(tmp_path / "t.sqlite"), *quick])
        with Store(tmp_path / "t.sqlite") as store:
            stretches = states(store, store.find())
        out, err = capsys.readouterr()
        return status, out, "".join(line for line in err.splitlines(True) if not line.startswith("measure ")), stretches

    device.other = {item: RuntimeError("no such operator") for item in items[1:3]}
    status, out, err, stretches = measured("plan")
    assert status == 2
    assert "5 items in 2 rounds" in out
    assert err.count(": no such operator\n") == 2
    assert err.endswith("error: measure: 2 items failed; the same command tries them again\n")
    assert measured("plan") == (status, out, err, stretches), "starts in vain left something"
    assert measured("other")[::2] == (0, ""), "what failed is of another plan"
    device.other = {}
    status, out, err, stretches = measured("plan")
    assert (status, err) == (0, "")
    assert "7 items in 2 rounds" in out
    assert [state for *_, state in stretches] == ["accepted"] * 4
    assert command_line(["show", str(tmp_path / "t.sqlite")]) == 0
    assert "3 units and 1 networks in 2 rounds, 0 failed" in capsys.readouterr().out


def test_a_plan_that_has_grown(store):
    device = Scripted()
    run(device, store, chains(4))
    loads = device.loads
    collection = run(device, store, chains(6))
    assert len(Latencies(store, collection).slopes) == 6
    assert device.loads - loads < 3 * (4 + 2 + 3), "what was known was measured again"


def test_devices_are_not_mixed(tmp_path):
    path = tmp_path / "table.sqlite"
    with Store(path, create=True) as store:
        run(Scripted(), store, chains(2))
        run(Scripted(model="other"), store, chains(3))
        assert len(store.collections()) == 2
    with pytest.raises(SpecError, match=r"which device\? 1: scripted, none, 1 thread; 2: scripted, other, 1 thread"):
        LatencyTable(path)
    assert len(LatencyTable(path, "other").latencies.slopes) == 3
    assert len(LatencyTable(path, "1").latencies.slopes) == 2
    with pytest.raises(SpecError, match="'phone' is none of the table's"):
        LatencyTable(path, "phone")


def test_a_missing_unit_is_named(tmp_path):
    with Store(tmp_path / "table.sqlite", create=True) as store:
        run(Scripted(), store, chains(2))
    with pytest.raises(
        TableError, match=r"stem expand .* was not measured on scripted, none, 1 thread; `python -m latency_lut"
    ):
        LatencyTable(tmp_path / "table.sqlite").latency_ms(SPACE.largest())


def test_the_calmest_burst_counts():
    """Something else has the processor during the first two."""
    state = {"wall": 0.0, "busy": 0.0, "runs": 0}

    def run():
        state["runs"] += 1
        state["busy"] += 0.001
        state["wall"] += 0.001 if state["runs"] > 6 else 0.003

    found = burst(run, lambda: (state["wall"], state["busy"]), Protocol(warm_up=0, burst_runs=3, burst_ms=0))
    assert found.contention == pytest.approx(0, abs=1e-9)
    assert state["runs"] == 9
    assert found.median_ms == pytest.approx(1)


@pytest.mark.parametrize("content", [b"", b"no database at all, but some text that is long enough to be read" * 30])
def test_no_table(tmp_path, content):
    path = tmp_path / "t.sqlite"
    path.write_bytes(content)
    with pytest.raises(TableError, match=r"t\.sqlite: (is no latency table|can't be used as a latency table)"):
        Store(path)


def test_a_newer_table_is_left_alone(tmp_path):
    path = tmp_path / "t.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(TableError, match="newer version"):
        Store(path, create=True)


def test_a_database_of_another_program_is_left_alone(tmp_path):
    path = tmp_path / "t.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with pytest.raises(TableError, match="is no latency table"):
        Store(path, create=True)
    assert path.read_bytes() == before


def test_a_table_that_stays_locked(tmp_path, monkeypatch):
    monkeypatch.setattr("latency_lut.table.store.PATIENCE_S", 0.1)
    path = tmp_path / "t.sqlite"
    with Store(path, create=True) as store:
        collection = run(Scripted(), store, chains(1))
    with Store(path) as reader, contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert len(Latencies(reader, collection).items) == 2  # readers don't wait
        with pytest.raises(TableError, match=r"t\.sqlite: another process has kept it locked for 0 s"):
            reader.add_failure(collection, 1, "")


def test_items_are_their_text():
    one = chain(UNITS[3], 4)
    assert Item(one.text, 4) == one
    assert Item(one.text, 4).id == one.id != chain(UNITS[3], 1).id
    assert network(SPACE.largest()).spec == SPACE.largest()
