"""1,000 damaged files of each kind that measuring reads, from plans to what phones write."""

import copy
import csv
import io
import json
import random
import shutil
import sqlite3
import tarfile
import zipfile

import pytest
from mutations import JUNK, damaged_bytes, damaged_data, damaged_json, survives
from phone_jobs import SPACE, make_job
from test_mlperf import newer_report, report
from test_phone_results import JOB, LINES

from deploy import DeployError
from latency_lut.items import Item
from latency_lut.mlperf import read_mlperf
from latency_lut.phone.archive import pack, unpack_job, unpack_results
from latency_lut.phone.job import read_job
from latency_lut.phone.placement import placement_lines
from latency_lut.phone.results import parse_results
from latency_lut.phone.rows import store_results
from latency_lut.plan import load_plan, make_plan, save_plan
from latency_lut.protocol import Burst, Protocol
from latency_lut.table.exchange import add_rows, read_rows, rows, write_rows
from latency_lut.table.latencies import Latencies, contended_share
from latency_lut.table.store import Store
from supernet import SpecError
from supernet.space.reading import parse_space
from supernet.values import UserError

PLAN = make_plan([parse_space(SPACE, "tiny")], networks=2)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Three rounds of everything in a plan."""
    path = tmp_path_factory.mktemp("table") / "table.sqlite"
    draw = random.Random(0)
    with Store(path, create=True) as store:
        facts = {"device": "onnx", "model": "a computer", "threads": 1, "dtype": "fp32"}
        collection = store.collection(facts, Protocol(), "a test")
        with store.writing():
            numbers = store.add_items(PLAN.items)
            for round_ in range(3):
                attempt = store.begin_stretch(collection, round_, PLAN.anchor.id, 1.0)
                for item in PLAN.items:
                    ms = (item.copies or 5) * draw.uniform(1, 1.1)
                    burst = Burst(ms, ms, ms, 8, 0.01)
                    store.add_burst(collection, numbers[item], round_, attempt, burst, {"placed_on": "cpu"})
                store.end_stretch(collection, round_, attempt, 1.0, "accepted")
            store.add_failure(collection, numbers[PLAN.items[0]], "it can't be compiled")
        store.connection.execute("PRAGMA journal_mode = DELETE")
    return path


def read_table(path):
    """Everything that the commands read of it."""
    with Store(path) as store:
        for collection in store.collections():
            found = Latencies(store, collection)
            assert all(latency.ms == latency.ms for latency in (*found.slopes.values(), *found.networks.values()))
            store.failures(collection), store.stretches(collection), contended_share(store, collection)
            placement_lines(store, collection)
        for _ in rows(store):
            pass


def write_cell(path, draw):
    """A value of another kind in any place: SQLite's columns take everything."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("PRAGMA ignore_check_constraints = ON")
    for _ in range(draw.randint(1, 3)):
        name = draw.choice(("collections", "items", "stretches", "bursts", "failures"))
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
        column, value = draw.choice(columns), draw.choice([*JUNK, b"\xff\x00", "{}", "[1]", "{" * 5000, "[" * 5000])
        value = json.dumps(value) if isinstance(value, list | dict) else value
        if isinstance(value, str):
            value = value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        if isinstance(value, int):
            value = max(min(value, 2**63 - 1), -(2**63))
        try:
            connection.execute(f"UPDATE OR REPLACE {name} SET {column} = ?", (value,))  # noqa: S608
        except sqlite3.Error:
            continue
    if draw.random() < 0.1:
        connection.execute(f"PRAGMA user_version = {draw.choice((-1, 0, 1, 2, 3, 2**31 - 1))}")
    connection.close()


@pytest.mark.slow
def test_damaged_tables(tmp_path, table):
    path, whole = tmp_path / "damaged.sqlite", table.read_bytes()

    def make(draw):
        for left_over in tmp_path.iterdir():
            left_over.unlink()
        if draw.random() < 0.5:
            path.write_bytes(damaged_bytes(whole, draw))
        else:
            path.write_bytes(whole)
            write_cell(path, draw)
        return path

    survives(read_table, make, UserError).check()


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_damaged_copies_of_tables(tmp_path, table, suffix):
    path = tmp_path / f"rows{suffix}"
    with Store(table) as store:
        write_rows(store, path)
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)

    def make(draw):
        few = [*lines[:2], *draw.sample(lines[2:], 2)]
        if suffix == ".csv" and draw.random() < 0.5:
            table_rows = list(csv.reader(io.StringIO(b"".join(few).decode())))
            row = draw.choice([row for row in table_rows if row])
            row[draw.randrange(len(row))] = str(draw.choice(JUNK))
            text = io.StringIO()
            csv.writer(text).writerows(table_rows)
            path.write_bytes(text.getvalue().encode("utf-8", "surrogatepass"))
        elif suffix == ".jsonl" and draw.random() < 0.5:
            few[draw.randrange(4)] = damaged_json(json.loads(few[1]), draw) + b"\n"
            path.write_bytes(b"".join(few))
        else:
            path.write_bytes(damaged_bytes(b"".join(few), draw))
        return path

    def read(path):
        found = list(read_rows(path))
        with Store(":memory:", create=True) as store:
            add_rows(store, found, "a test")

    survives(read, make, UserError).check()


@pytest.mark.slow
def test_damaged_plans(tmp_path):
    save_plan(PLAN, tmp_path)
    content = (tmp_path / "plan.json").read_bytes()
    data = json.loads(content)
    data["items"] = data["items"][:6] + [row for row in data["items"][6:] if row["id"] == PLAN.anchor.id]

    def make(draw):
        if draw.random() < 0.4:
            made = damaged_bytes(content, draw)
        elif draw.random() < 0.5:
            made = damaged_json(data, draw)
        else:  # with hashes that fit
            changed = copy.deepcopy(data)
            row = draw.choice(changed["items"])
            if draw.random() < 0.5:
                row["text"] = damaged_bytes(row["text"].encode(), draw).decode("utf-8", "replace")
            row["copies"] = draw.choice((row["copies"], row["copies"], 0, 1, 4, -1, 10**9))
            is_anchor = row["id"] == changed["anchor"]
            row["id"] = Item(row["text"], row["copies"]).id
            changed["anchor"] = row["id"] if is_anchor else changed["anchor"]
            made = json.dumps(changed).encode()
        (tmp_path / "plan.json").write_bytes(made)
        return tmp_path

    def read(folder):
        for item in load_plan(folder).items:
            assert str(item)
            assert item.shape

    survives(read, make, SpecError).check()


@pytest.mark.parametrize("make_report", [report, newer_report])
def test_damaged_reports_of_xcode(tmp_path, make_report):
    path = tmp_path / "report.json"

    def make(draw):
        path.write_bytes(damaged_json(make_report(), draw))
        return path

    def read(path):
        assert all(0 < ms < 1e9 for ms in read_mlperf(path).predict_ms)

    survives(read, make, SpecError).check()


def test_damaged_results_of_phones():
    """Lines that are damaged are left out; what is left becomes rows of a table."""
    lines = LINES.splitlines(keepends=True)

    def make(draw):
        made = list(lines)
        for _ in range(draw.randint(1, 3)):
            at = draw.randrange(len(made))
            made[at] = damaged_json(json.loads(lines[at]), draw) + b"\n"
        return damaged_bytes(b"".join(made), draw) if draw.random() < 0.3 else b"".join(made)

    plan = PLAN

    def read(content):
        results = parse_results(content, JOB["job"])
        assert all(min(burst.samples_ms) >= 0 for item in results.items.values() for burst in item.bursts)
        results.items = dict(zip([item.id for item in plan.items], results.items.values(), strict=False))
        with Store(":memory:", create=True) as store:
            store_results(store, plan, results, Protocol(), "all")

    survives(read, make, SpecError).check()


def resigned(job):
    from latency_lut.phone.job import _hash

    return job | {"job": _hash(job)}


def test_damaged_jobs(tmp_path):
    folder = make_job(tmp_path)
    data = json.loads((folder / "job.json").read_text())

    def make(draw):
        changed = damaged_data(data, draw)
        if draw.random() < 0.6 and isinstance(changed, dict):
            made = json.dumps(resigned(changed)).encode()
        else:
            made = damaged_json(data, draw)
        (folder / "job.json").write_bytes(made)
        return folder

    survives(read_job, make, SpecError).check(least=5)


@pytest.mark.slow
def test_damaged_archives_of_jobs(tmp_path):
    """Nothing lands beside the folder, whatever the names in the archive say."""
    job = make_job(tmp_path, names=("a1",))
    pack(job, tmp_path / "job.tar")
    whole = (tmp_path / "job.tar").read_bytes()
    place = tmp_path / "place"
    place.mkdir()

    def make(draw):
        shutil.rmtree(place / "job", ignore_errors=True)
        if draw.random() < 0.5:
            (tmp_path / "damaged.tar").write_bytes(damaged_bytes(whole, draw))
        else:
            with tarfile.open(tmp_path / "job.tar") as old, tarfile.open(tmp_path / "damaged.tar", "w") as new:
                chosen = draw.choice(old.getmembers())
                for member in old.getmembers():
                    content = old.extractfile(member)
                    if member.name == chosen.name:
                        member = hostile(member, draw)
                    new.addfile(member, content if member.isreg() else None)
        return tmp_path / "damaged.tar"

    def read(archive):
        try:
            unpack_job(archive, place / "job")
        finally:
            assert {path.name for path in place.iterdir()} <= {"job"}

    survives(read, make, (SpecError, DeployError)).check()


def hostile(member, draw):
    match draw.randrange(7):
        case 0:
            member.name = draw.choice(
                ("../out", "/somewhere/out", "a/../../out", "x\0y", "a" * 300, "..", ".", "", "a\\..\\b")
            )
        case 1:
            member.type, member.linkname = tarfile.SYMTYPE, draw.choice(("/etc/passwd", "../..", "job.json"))
        case 2:
            member.type, member.linkname = tarfile.LNKTYPE, draw.choice(("/etc/passwd", "job.json"))
        case 3:
            member.type = draw.choice((tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, b"Z"))
        case 4:
            member.name = draw.choice(("job.json", "packages", "job.json/x", "packages/a1.mlpackage", "é" * 40))
        case 5:
            member.pax_headers = {"GNU.sparse.map": "0,1", "size": draw.choice(("1", "-1", "x"))}
        case _:
            member.name = f"{member.name}.{draw.randrange(10)}"
    return member


@pytest.mark.slow
def test_damaged_archives_of_results(tmp_path):
    folder = make_job(tmp_path)
    lines = LINES.replace(JOB["job"].encode(), read_job(folder).job.encode())
    (tmp_path / "results.jsonl").write_bytes(lines)
    with tarfile.open(tmp_path / "whole.tar", "w") as archive:
        archive.add(tmp_path / "results.jsonl", "job/results.jsonl")
    with tarfile.open(tmp_path / "whole.tgz", "w:gz") as archive:
        archive.add(tmp_path / "results.jsonl", "job/results.jsonl")
    for name, method in (("stored.zip", zipfile.ZIP_STORED), ("deflated.zip", zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(tmp_path / name, "w", method) as archive:
            archive.write(tmp_path / "results.jsonl", "job/results.jsonl")
    wholes = [(tmp_path / name).read_bytes() for name in ("whole.tar", "whole.tgz", "stored.zip", "deflated.zip")]

    def make(draw):
        (folder / "results.jsonl").unlink(missing_ok=True)
        (tmp_path / "damaged").write_bytes(damaged_bytes(draw.choice([*wholes, lines]), draw))
        return tmp_path / "damaged"

    def read(source):
        unpack_results(source, folder)
        assert parse_results((folder / "results.jsonl").read_bytes()).measured >= 0

    survives(read, make, (SpecError, DeployError)).check()
