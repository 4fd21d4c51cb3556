"""Processes that are killed (SIGKILL) at random moments, or work at one place at once: nothing is lost or doubled."""

import bisect
import contextlib
import hashlib
import json
import random
import shutil
import signal
import sqlite3

import onnx
import pytest

from latency_lut.__main__ import main
from latency_lut.exporting import export, file_of, manifest
from latency_lut.items import chain
from latency_lut.plan import Plan, claimed, load_plan, save_plan
from supernet import SpecError, parse_space, save_space
from tests.killed_commands import Commands

SPACE = """
family: iformer
resolution: 32
num_classes: 10
stem: {kind: expand, width: 8, kernel: 3, strides: [2, 1]}
stages:
- depth: 1
  blocks:
  - {kind: conv, kernel: [3, 5], expand: 2}
- width: 16
  downsample: {kind: conv, kernel: 3, bias: false}
  depth: [1, 2]
  blocks:
  - {kind: conv, kernel: 3, expand: 2}
head: {kind: pool_norm}
"""
WRITING = ["supernet/whole_files.py", "latency_lut/plan.py"]
EXPORTING = ["supernet/whole_files.py", "latency_lut/exporting.py"]
MEASURING = ["latency_lut/measuring.py", "latency_lut/table/store.py", "latency_lut/table/schema.py"]
QUICK = ("rounds=2", "burst_runs=3", "burst_ms=0", "patience_s=0")


@pytest.fixture(scope="module")
def commands():
    commands = Commands()
    yield commands
    commands.close()


def planning(folder, out):
    return ("plan", folder / "space.yaml", "--out", out, "--networks", 2)


def measuring(folder, table):
    protocol = (part for setting in QUICK for part in ("--protocol", setting))
    return ("measure", folder / "plan", "--device", "torch", "--table", table, *protocol)


@pytest.fixture(scope="module")
def whole(commands, tmp_path_factory):
    """Nothing was interrupted here: a folder, and how each command ran."""
    folder = tmp_path_factory.mktemp("whole")
    save_space(parse_space(SPACE), folder / "space.yaml")
    ran = {
        "plan": commands(*planning(folder, folder / "plan"), files=WRITING),
        "export": commands("export", folder / "plan", files=EXPORTING),
        "measure": commands(*measuring(folder, folder / "t.sqlite"), device={}, files=MEASURING),
    }
    assert [one["status"] for one in ran.values()] == [0, 0, 0], ran
    return folder, ran


def moments(number, until, seed):
    """How many lines each of so many starts may run: together not more than an uninterrupted one."""
    at = sorted(random.Random(seed).sample(range(1, until), number))
    return [later - before for before, later in zip([0, *at], at, strict=False)]


def kill(commands, deaths, *arguments, **options):
    for dies_at in deaths:
        assert commands(*arguments, dies_at=dies_at, **options)["status"] == -9, "it ended before it was killed"


def kill_by_the_clock(commands, seconds, *arguments, **options):
    """In the middle of what is not Python, too. It may have ended before."""
    assert commands(*arguments, dies_after_s=0.4 * seconds, **options)["status"] in (0, -9)


def planned(folder, copy):
    """The same plan in another folder, without anything exported."""
    copy.mkdir()
    shutil.copy(folder / "plan" / "plan.json", copy)
    return copy


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def fitting_files(plan, form):
    """By the item's id. Each hash fits its file, and nothing else is there."""
    files = {item.id: file_of(plan, form, item) for item in load_plan(plan).items}
    hashes = {id_: hashlib.sha256(file.read_bytes()).hexdigest() for id_, file in files.items()}
    assert {id_: row.get("sha256") for id_, row in manifest(plan, form).items()} == hashes
    assert names(plan / form) == sorted(["manifest.jsonl", *(file.name for file in files.values())])
    return files


def exported(plan):
    """What each item computes."""
    return {id_: computed(file) for id_, file in fitting_files(plan, "onnx").items()}


def computed(file):
    """Operations and weights, without the names that PyTorch's exporter draws from what the process did before."""
    graph = onnx.load(file).graph
    operations = [(node.op_type, [one.SerializeToString() for one in node.attribute]) for node in graph.node]
    return operations, sorted((list(one.dims), one.raw_data) for one in graph.initializer)


def rows(table):
    """Bursts, stretches and failures, in words that do not depend on the file."""
    with contextlib.closing(sqlite3.connect(table)) as connection:
        bursts = connection.execute(
            "SELECT device, items.id, round, attempt, round(median_ms, 6), runs FROM bursts"
            " JOIN items ON item = number JOIN collections c ON c.id = collection"
            " ORDER BY device, items.id, round, attempt"
        ).fetchall()
        stretches = connection.execute(
            "SELECT device, round, attempt, state FROM stretches JOIN collections ON id = collection"
            " ORDER BY device, round, attempt"
        ).fetchall()
        return bursts, stretches, connection.execute("SELECT * FROM failures").fetchall()


def test_the_command_line_imports_nothing_heavy(commands):
    assert commands.imported == []


# --- killed ------------------------------------------------------------------------------------------------------


def test_planning(commands, whole, tmp_path):
    folder, ran = whole
    arguments = planning(folder, tmp_path)
    assert commands(*arguments, dies_at_byte=2000)["status"] == -signal.SIGXFSZ
    assert not (tmp_path / "plan.json").exists()
    kill(commands, [5, ran["plan"]["lines"] - 4, ran["plan"]["lines"] - 1], *arguments, files=WRITING)
    kill_by_the_clock(commands, ran["plan"]["seconds"], *arguments)
    assert commands(*arguments)["status"] == 0
    assert (tmp_path / "plan.json").read_bytes() == (folder / "plan" / "plan.json").read_bytes()
    assert names(tmp_path) == [".lock", "plan.json"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_exporting(commands, whole, tmp_path, jobs):
    folder, ran = whole
    plan = planned(folder, tmp_path / "plan")
    arguments = ("export", plan, "--jobs", jobs)
    kill(commands, [ran["export"]["lines"] // (2 * jobs)], *arguments, files=EXPORTING, forks=True)
    if jobs == 1:
        kill_by_the_clock(commands, ran["export"]["seconds"], *arguments)
    assert commands(*arguments, forks=True)["status"] == 0
    assert exported(plan) == exported(folder / "plan")


@pytest.mark.parametrize("jobs", [1, 2])
def test_exporting_in_small_steps(commands, whole, tmp_path, jobs):
    plan, other = (planned(whole[0], tmp_path / name) for name in ("plan", "other"))
    options = {"files": EXPORTING, "forks": True, "is_quick": True}
    lines = commands("export", other, "--jobs", jobs, **options)["lines"]
    kill(commands, moments(7, lines, seed=jobs), "export", plan, "--jobs", jobs, **options)
    kill_by_the_clock(commands, 0.1, "export", plan, "--jobs", jobs, **options)
    assert commands("export", plan, "--jobs", jobs, **options, renewed=2)["status"] == 0
    fitting_files(plan, "onnx")


def test_exporting_what_is_gone(commands, whole, tmp_path):
    """A file that is made again, other than before, never has the hash of the old one."""
    plan, before = planned(whole[0], tmp_path / "plan"), tmp_path / "before"
    again = {"arguments": ("export", plan), "files": EXPORTING, "is_quick": True}
    commands.together(again)
    *_, lost = fitting_files(plan, "onnx").values()
    lost.unlink()
    shutil.copytree(plan / "onnx", before)
    (ran,) = commands.together(again)

    def is_there(dies_at):
        shutil.rmtree(plan / "onnx")
        shutil.copytree(before, plan / "onnx")
        assert commands.together(again | {"dies_at": dies_at})[0]["status"] == -9
        return lost.exists()

    first = 1 + bisect.bisect_left(range(1, ran["lines"]), True, key=is_there)
    assert [is_there(dies_at) for dies_at in (first - 1, first)] == [False, True]
    for dies_at in range(first - 2, first + 5):
        is_there(dies_at)
        assert commands.together(again)[0]["status"] == 0
        fitting_files(plan, "onnx")


def test_measuring(commands, whole, tmp_path):
    folder, ran = whole
    table = tmp_path / "t.sqlite"
    arguments = measuring(folder, table)
    kill(commands, moments(10, ran["measure"]["lines"], seed=0), *arguments, device={}, files=MEASURING)
    for more_bytes in random.Random(1).sample(range(20_000), 4):
        size = max(file.stat().st_size for file in tmp_path.iterdir())
        run = commands(*arguments, device={}, dies_at_byte=size + more_bytes)
        assert run["status"] == -signal.SIGXFSZ, run
    kill_by_the_clock(commands, ran["measure"]["seconds"], *arguments, device={})
    assert commands(*arguments, device={})["status"] == 0
    assert rows(table) == rows(folder / "t.sqlite")
    assert names(tmp_path) == ["t.sqlite"]


# --- two at once -------------------------------------------------------------------------------------------------


def test_two_that_measure(commands, whole, tmp_path):
    """The same device twice, and another one."""
    folder, _ = whole
    for trial in range(3):
        table = tmp_path / f"{trial}.sqlite"
        devices = [{"model": model, "pause_ms": 3, "seed": trial} for model in ("none", "none", "other")]
        ran = commands.together(*({"arguments": measuring(folder, table), "device": one} for one in devices))
        assert [one["status"] for one in ran] == [0, 0, 0], ran
        one, other = ([row[1:] for row in rows(table)[0] if model in row[0]] for model in ("none", "other"))
        assert one == other == [row[1:] for row in rows(folder / "t.sqlite")[0]]


def test_two_that_measure_and_judge_differently(commands, whole, tmp_path):
    """Two plans of one device, which each sees slow at other times. In each round an item has one burst that counts,
    whoever ends what."""
    folder, _ = whole
    smaller = load_plan(folder / "plan")
    larger = Plan(("larger",), (*smaller.items, chain(smaller.chains[0].unit, 2)), smaller.anchor)
    save_plan(larger, tmp_path / "plan")
    states = set()
    for trial in range(3):
        table = tmp_path / f"{trial}.sqlite"
        runs = [
            {"arguments": measuring(of, table), "device": {"pause_ms": 3, "slow": 0.2, "seed": 2 * trial + number}}
            for number, of in enumerate((folder, tmp_path))
        ]
        ran = commands.together(*runs)
        assert [one["status"] for one in ran] == [0, 0], ran
        bursts, stretches, _ = rows(table)
        states |= {row[3] for row in stretches}
        counting = {row[1:3] for row in stretches if row[3] in ("accepted", "drifted")}
        found = sorted((item, round_) for _, item, round_, attempt, *_ in bursts if (round_, attempt) in counting)
        assert found == sorted((item.id, round_) for item in larger.items for round_ in range(2))
    assert "repeated" in states, "the test shows nothing"


def test_two_that_export(commands, whole, tmp_path, capsys):
    """One is refused while another is at work; together they leave what one does."""
    plan = planned(whole[0], tmp_path / "plan")
    ran = commands.together(*[{"arguments": ("export", plan), "is_quick": True}] * 3)
    assert {0} <= {one["status"] for one in ran} <= {0, 2}, ran
    fitting_files(plan, "onnx")
    with claimed(plan / "onnx" / "manifest.jsonl"):
        assert main(["export", str(plan)]) == 2
    said = capsys.readouterr().err
    assert said == f"error: {plan / 'onnx'}: another process is at work there; wait for its end\n"


def test_two_that_plan(commands, whole, tmp_path):
    """None loses what the other adds."""
    runs = [
        {"arguments": ("plan", name, "--out", tmp_path, "--networks", 2)} for name in ("tiny", whole[0] / "space.yaml")
    ]
    assert [one["status"] for one in commands.together(*runs)] == [0, 0]
    both, one = load_plan(tmp_path), load_plan(whole[0] / "plan")
    assert sorted(both.spaces) == ["space", "tiny"]
    assert len(both.items) > len(one.items)
    assert set(both.items).issuperset(one.items)


def test_a_worker_that_is_killed(commands, whole, tmp_path):
    """As the system does where memory runs out."""
    plan = planned(whole[0], tmp_path / "plan")
    ran = commands("export", plan, "--jobs", 2, forks=True, ends_workers=True)
    assert ran["status"] == 2
    assert ran["said"].startswith("error: export: one of its processes was ended, perhaps for lack of memory; the same")
    assert names(plan / "onnx") == ["manifest.jsonl"]


@pytest.mark.slow
def test_no_process_is_left_behind(commands, whole, tmp_path):
    """A worker that a killed command has started ends by itself (`Commands` waits for that)."""
    folder, ran = whole
    plan = planned(folder, tmp_path / "plan")
    kill(commands, [ran["export"]["lines"] // 4], "export", plan, files=EXPORTING, renewed=8)
    assert 0 < len(manifest(plan, "onnx")) < len(load_plan(plan).items)
    assert commands("export", plan, is_quick=True)["status"] == 0
    fitting_files(plan, "onnx")


def test_packages_are_replaced(whole, tmp_path, monkeypatch):
    """Core ML's are folders, which no renaming replaces."""

    def made(item, folder, form, options):
        (folder / f"{item.id}.mlpackage").mkdir()
        (folder / f"{item.id}.mlpackage" / "Manifest.json").write_text(f"{len(made_of)}")
        made_of.append(item)
        return {"id": item.id, "what": "", "sha256": "0" * 64}

    made_of, items = [], load_plan(whole[0] / "plan").items[:2]
    monkeypatch.setattr("latency_lut.exporting._export_one", made)
    assert export(items, tmp_path, "coreml", 1, {}) == {}
    (tmp_path / "coreml" / "manifest.jsonl").unlink()
    assert export(items, tmp_path, "coreml", 1, {}) == {}
    assert [(file_of(tmp_path, "coreml", item) / "Manifest.json").read_text() for item in items] == ["2", "3"]
    assert len(names(tmp_path / "coreml")) == 5


# --- damaged -----------------------------------------------------------------------------------------------------


def mutated(content, rng):
    """Bytes changed, lost, doubled or added; or cut off."""
    content = bytearray(content)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(content) + 1)
        length = rng.choice((0, 1, 1, 1, rng.randrange(40)))
        put = rng.choice(
            (b"", bytes([rng.randrange(256)]), content[at : at + length] * 2, b"[" * 5000, b"1e999", b"null")
        )
        content[at : at + length] = put
    return bytes(content[: rng.randrange(len(content) + 1)] if rng.random() < 0.1 else content)


def restructured(value, rng):
    """JSON with another value at some place, or one less."""
    if not isinstance(value, dict | list) or not value or rng.random() < 0.2:
        return rng.choice((None, [], {}, "", "x", -1, 10**40, float("inf"), float("nan"), True, [value], {"id": value}))
    key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
    value = value.copy()
    if rng.random() < 0.2:
        del value[key]
    else:
        value[key] = restructured(value[key], rng)
    return value


def test_mutated_plans(whole, tmp_path):
    rng, content = random.Random(0), (whole[0] / "plan" / "plan.json").read_bytes()
    refused = 0
    for trial in range(200):
        (tmp_path / "plan.json").write_bytes(
            mutated(content, rng) if trial % 2 else json.dumps(restructured(json.loads(content), rng)).encode()
        )
        try:
            plan = load_plan(tmp_path)
        except SpecError as error:
            refused += 1
            said = str(error)
        else:
            said = " ".join(map(str, (plan.anchor, *plan.items)))
        assert "\n" not in said
    assert refused > 150


def test_mutated_manifests(whole, tmp_path):
    """A damaged line is as if it were not there; the others stand."""
    folder = whole[0]
    rng, content = random.Random(0), (folder / "plan" / "onnx" / "manifest.jsonl").read_bytes()
    lines = content.splitlines(keepends=True)
    known, lost = manifest(folder / "plan", "onnx"), 0
    (tmp_path / "onnx").mkdir()
    for trial in range(200):
        at = rng.randrange(len(lines))
        row = json.loads(lines[at])
        line = mutated(lines[at], rng) if trial % 2 else json.dumps(restructured(row, rng)).encode() + b"\n"
        (tmp_path / "onnx" / "manifest.jsonl").write_bytes(b"".join([*lines[:at], line, *lines[at + 1 :]]))
        found = manifest(tmp_path, "onnx")
        for one in found.values():
            assert isinstance(one.get("failed", ""), str)
            assert len(one.get("sha256", "0" * 64)) == 64
        lost += row["id"] not in found
        near = {json.loads(one)["id"] for one in lines[max(at - 1, 0) : at + 2]}  # a line's end may be lost, too
        assert all(found.get(id_) == one for id_, one in known.items() if id_ not in near)
    assert lost > 100


def test_a_torn_manifest_is_continued(commands, whole, tmp_path):
    folder = whole[0]
    plan = tmp_path / "plan"
    shutil.copytree(folder / "plan", plan)
    file = plan / "onnx" / "manifest.jsonl"
    file.write_bytes(file.read_bytes()[:-20])
    assert commands("export", plan)["status"] == 0
    assert exported(plan) == exported(folder / "plan")


def test_mutated_tables(whole, tmp_path, capsys):
    rng, content, table = random.Random(0), (whole[0] / "t.sqlite").read_bytes(), tmp_path / "t.sqlite"
    refused = 0
    for trial in range(100):
        damaged = bytearray(content)
        for _ in range(2 ** rng.randrange(8)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        for file in tmp_path.iterdir():
            file.unlink()
        table.write_bytes(damaged)
        status = main(["show", str(table), *(["--device", "1"] if trial % 2 else [])])
        said = capsys.readouterr().err
        assert (status, said.count("\n"), said[:7]) in [(0, 0, ""), (2, 1, "error: ")], said
        refused += status == 2
    assert refused > 30
