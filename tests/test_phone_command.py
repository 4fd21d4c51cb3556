"""From a space to a phone's table as a user types it: real packages, and a phone whose times are known."""

import functools
import json
import random
import shutil
import sqlite3

import phone_stand_in as stand_in
import pytest
from phone_jobs import SPACE
from phone_world import LOCKED, TEAM, World, device

from latency_lut.__main__ import main
from latency_lut.devices import iphone
from latency_lut.devices.iphone import measure_on_iphone
from latency_lut.exporting import file_of
from latency_lut.lookup import LatencyTable
from latency_lut.phone.job import read_job, target_of
from latency_lut.plan import load_plan
from latency_lut.table.latencies import Latencies, sustained_ms
from latency_lut.table.store import Store
from latency_lut.units import units
from supernet import parse_space, save_space

pytestmark = pytest.mark.slow
SETTINGS = ("rounds=2", "warm_up=1", "burst_runs=3", "idle_ms=1", "sustained_runs=4")
QUICK = [word for setting in SETTINGS for word in ("--protocol", setting)]
FACTS = {"device": "coreml", "model": "iPhone14,5", "system": "iOS 17.7", "compute_units": "all", "dtype": "fp16"}


def typed(*arguments):
    """The exit status."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as end:  # argparse's
        return end.code


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phone")
    save_space(parse_space(SPACE), folder / "space.yaml")
    assert typed("plan", folder / "space.yaml", "--out", folder / "plan", "--networks", 6) == 0
    assert typed("export", folder / "plan", "--to", "coreml") == 0
    return folder / "plan"


@pytest.fixture
def plan(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "plan")


def unit_ns(unit):
    return random.Random(unit.key).randrange(100_000, 900_000)


def times(plan):
    """What each item takes on the phone: a unit its own time, a network nine tenths of the sum and 0.3 ms."""
    return {
        item.id: 300_000 + item.copies * unit_ns(item.unit)
        if item.copies
        else 300_000 + round(0.9 * sum(map(unit_ns, units(item.spec))))
        for item in load_plan(plan).items
    }


@pytest.fixture
def world(tmp_path, monkeypatch, plan):
    quick = functools.partial(measure_on_iphone, poll_s=0.5, patience_s=0.2)
    monkeypatch.setattr(iphone, "measure_on_iphone", quick)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    world = World(tmp_path, monkeypatch)
    world.usual = {"devices": [device()], "script": {"base_ns": times(plan)}}
    world.set(**world.usual)
    return world


def measure(plan, table, *more):
    return typed("measure", plan, "--device", "iphone", "--team", TEAM, "--table", table, *QUICK, *more)


def rows(table):
    with sqlite3.connect(table) as connection:
        query = "SELECT id, round, attempt, median_ms, runs, more FROM bursts JOIN items ON item = number"
        return sorted(connection.execute(query).fetchall())


def check_table(table, plan):
    """Every item in each round and the networks without gaps, with the state of the phone; and times as they are."""
    items = load_plan(plan).items
    assert {(id_, round_) for id_, round_, *_ in rows(table)} == {
        (item.id, round_) for item in items for round_ in ((0, 1) if item.copies else (-1, 0, 1))
    }
    for *_, more in rows(table):
        state = json.loads(more)
        assert (state["thermal_before"], state["thermal_after"], state["low_power"]) == ("nominal", "nominal", False)
        assert (state["load_ms"], state["compile_ms"]) == (7, 5)
        assert state["operations"] == {"neural_engine": 3, "gpu": 0, "cpu": 1, "unknown": 0}
        assert state["placed_on"] == "neural_engine"
    with Store(table) as store:
        collection = store.find()
        assert collection.device == FACTS | {"target": "iOS17"}
        assert [one.state for one in store.stretches(collection)] == ["accepted"] * 2
        found = Latencies(store, collection)
        for item in items:
            if item.copies:
                assert found.slope(item.unit).ms == pytest.approx(unit_ns(item.unit) / 1e6)
        assert sustained_ms(store, collection).keys() == {item for item in items if not item.copies}
    assert LatencyTable(table).fit.factor == pytest.approx(0.9, rel=0.01)


def test_measured_from_a_mac(plan, world, tmp_path, capsys):
    table = tmp_path / "t.sqlite"
    assert measure(plan, table) == 0
    check_table(table, plan)
    said = capsys.readouterr().out
    assert "bursts (42 of them new) on coreml, iPhone14,5, iOS 17.7, all, fp16, iOS17; in" in said
    assert "networks on Neural Engine: 6\n   chains on Neural Engine: 12" in said
    assert "not all is measured" not in said
    before = rows(table)
    assert measure(plan, table) == 0
    assert "all of this job is measured already" in capsys.readouterr().out
    assert rows(table) == before
    assert typed("validate", table) == 0
    assert "within 10 %: 100.0%" in capsys.readouterr().out


def test_an_app_that_crashes_in_the_middle(plan, world, tmp_path, capsys):
    table = tmp_path / "t.sqlite"
    world.set(**world.usual, lives=[90, *[1] * 20])
    assert measure(plan, table) == 2
    said = capsys.readouterr()
    assert "error: iPhone: the app ended 3 times without a result" in said.err
    assert "not all is measured: 35 of about 38 bursts" in said.out
    assert {round_ for _, round_, *_ in rows(table)} == {0}, "the round that was whole is kept"
    world.set(**world.usual)
    assert measure(plan, table) == 0
    check_table(table, plan)
    assert len(world.calls("copy to")) == 1


def test_stopped_by_a_person(plan, world, tmp_path, monkeypatch, capsys):
    def stopped(job, **options):
        measure_in(job, plan, lives=90)
        raise KeyboardInterrupt

    monkeypatch.setattr(iphone, "measure_on_iphone", stopped)
    assert measure(plan, tmp_path / "t.sqlite") == 130
    assert "not all is measured: 35 of about 38 bursts" in capsys.readouterr().out
    assert {round_ for _, round_, *_ in rows(tmp_path / "t.sqlite")} == {0}


def test_a_locked_phone(plan, world, tmp_path, capsys):
    world.set(**world.usual, **{"process launch": [LOCKED] * 100})
    assert measure(plan, tmp_path / "t.sqlite") == 2
    said = capsys.readouterr().err
    assert said.startswith("error: iPhone: starting the app: the phone is locked: unlock it, and keep it so (Settings")
    assert said.count("\n") == 1


def test_said_before_the_phone_is_asked(plan, world, tmp_path, capsys):
    (tmp_path / "none.sqlite").write_text("no table, but a text that is long enough to be looked at" * 30)
    assert measure(plan, tmp_path / "none.sqlite") == 2
    assert "none.sqlite: can't be used as a latency table" in capsys.readouterr().err
    package = file_of(plan, "coreml", load_plan(plan).items[0]) / "Data/com.apple.CoreML/model.mlmodel"
    package.write_bytes(b"\x08\x09" + package.read_bytes()[2:])
    assert measure(plan, tmp_path / "t.sqlite") == 2
    assert "has packages for iOS17 and for iOS18: export all of them for one" in capsys.readouterr().err
    assert not (world.folder / "calls.jsonl").exists()


def test_a_packed_job_is_measured_on_another_mac(plan, world, tmp_path, capsys):
    desk, mac, table = tmp_path / "job.tar", tmp_path / "mac" / "job.tar", tmp_path / "t.sqlite"
    assert typed("pack", plan, desk, *QUICK) == 0
    assert "measure job.tar --device iphone --team TEAM" in capsys.readouterr().out
    mac.parent.mkdir()
    shutil.copy(desk, mac)
    command = ("measure", mac, "--device", "iphone", "--team", TEAM)
    for more, words in (
        (("--table", table), "--table: can't be filled here"),
        (("--protocol", "rounds=9"), "--protocol: can't be changed here"),
        (("--compute-units", "cpu_only"), "--compute-units: can't be changed here: in "),
    ):
        assert typed(*command, *more) == 2
        assert words in capsys.readouterr().err
    world.set(**world.usual, lives=[50], unplugged=[1000])
    assert typed(*command) == 2
    world.set(**world.usual)
    assert typed(*command) == 0
    results = mac.with_name("job_job") / "results.jsonl"
    assert f"carry {results} back" in capsys.readouterr().out
    assert typed("import", table, results.parent, "--plan", plan) == 0  # the folder, or the file in it
    check_table(table, plan)
    (tmp_path / "no").write_text("")
    assert typed("measure", tmp_path / "no", "--device", "iphone", "--team", TEAM) == 2
    assert "can't be read as an archive" in capsys.readouterr().err


class Elsewhere(stand_in.App):
    """Puts some items on the processor."""

    on_cpu = ()

    def write(self, **event):
        if event["event"] == "placement" and event["id"] in self.on_cpu:
            event |= {"operations": {"neural_engine": 0, "gpu": 0, "cpu": 4, "unknown": 0}, "cost": {}}
        super().write(**event)


def measure_in(job_dir, plan, lives=None, app=Elsewhere):
    """As the app does, without a Mac."""
    job = json.loads((job_dir / "job.json").read_text())
    phone = stand_in.FakePhone({"base_ns": times(plan)}, job["protocol"]["warm_up"])
    try:
        app(job, phone, job_dir / "results.jsonl", lives, time="2026-05-04T03:02:01Z").run()
    except stand_in.Killed:
        return


def test_without_a_mac(plan, tmp_path, capsys, monkeypatch):
    """Results in two parts; then another job of the same plan, while the first is still known."""
    table, elsewhere = tmp_path / "t.sqlite", tmp_path / "elsewhere.jsonl"
    chains = load_plan(plan).chains
    monkeypatch.setattr(Elsewhere, "on_cpu", {chains[2].id, chains[3].id})
    assert typed("pack", plan, tmp_path / "job.tar", *QUICK) == 0
    job = plan / "job_all"
    measure_in(job, plan, lives=90)
    (job / "results.jsonl").rename(elsewhere)
    assert typed("import", table, elsewhere, "--plan", plan) == 0
    said = capsys.readouterr().out
    assert "18 bursts (18 of them new)" in said
    assert "not all is measured: 35 of about 38 bursts; rounds under way don't count yet" in said
    assert typed("pack", plan, tmp_path / "long.tar", "--protocol", "rounds=9") == 0
    assert read_job(plan / "job_all_2").protocol.rounds == 9
    measure_in(job, plan)
    (job / "results.jsonl").rename(elsewhere)
    capsys.readouterr()
    for new in (24, 0):
        assert typed("import", table, elsewhere, "--plan", plan) == 0
        said = capsys.readouterr().out
        assert f"42 bursts ({new} of them new) on coreml, iPhone14,5" in said
        assert "   chains on Neural Engine: 10, CPU: 2\n" in said
        assert "2 not placed as most networks (Neural Engine); their latencies may not add up:" in said
        assert f"CPU: {chains[2]}\n" in said
    for id_, *_, more in rows(table):
        assert (json.loads(more)["placed_on"] == "cpu") == (id_ in Elsewhere.on_cpu)
    with Store(table) as store:
        assert set(store.connection.execute("SELECT measured FROM bursts")) == {("2026-05-04T03:02:01+00:00",)}
    assert typed("show", table) == 0
    assert "6 units and 6 networks in 2 rounds" in capsys.readouterr().out
    assert typed("validate", table) == 0
    (tmp_path / "junk").write_text("junk")
    for file, why in (("junk", "holds no results of a phone"), ("nothing", "there is no such file")):
        assert typed("import", table, tmp_path / file, "--plan", plan) == 2
        said = capsys.readouterr().err
        assert f"{file}: can't be added to a job of {plan}: {why}" in said
        assert said.count("\n") == 1


def test_an_item_that_fails_is_named_and_does_not_stop_the_rest(plan, tmp_path, capsys):
    assert typed("pack", plan, tmp_path / "job.tar", *QUICK) == 0
    broken = load_plan(plan).chains[1]
    job = json.loads((plan / "job_all" / "job.json").read_text())
    phone = stand_in.FakePhone({"base_ns": {}, "broken": [broken.id]}, 1)
    stand_in.App(job, phone, tmp_path / "results.jsonl").run()
    for _ in range(2):
        assert typed("import", tmp_path / "t.sqlite", tmp_path / "results.jsonl", "--plan", plan) == 0
        assert capsys.readouterr().err == f"failed: {broken}: it can't be compiled\n"
    with Store(tmp_path / "t.sqlite") as store:
        assert list(store.failures(store.find())) == [broken]


def test_targets(plan, tmp_path):
    package = file_of(plan, "coreml", load_plan(plan).items[0])
    assert target_of(package) == "iOS17"
    model = package / "Data/com.apple.CoreML/model.mlmodel"
    for content in (b"", b"\x08", b"\x08\x63", b"\x0a\x08"):
        model.write_bytes(content)
        assert target_of(package) is None
    assert target_of(tmp_path) is None
