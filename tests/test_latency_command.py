"""python -m latency_lut as a user types it: from a small space to predictions of networks that were not measured."""

import json
import shutil

import pytest

from latency_lut.__main__ import main
from latency_lut.command import protocol_of
from latency_lut.exporting import file_of, manifest
from latency_lut.phone.job import read_job
from latency_lut.phone.results import read_results
from latency_lut.phone_commands import store_results
from latency_lut.plan import load_plan, make_plan, naive_number
from latency_lut.protocol import Protocol
from latency_lut.table.latencies import Latencies, sustained_ms
from latency_lut.table.store import Store
from supernet import SpecError, count, load_space, load_spec, parse_space, save_space, save_spec
from tests.test_latency_killed import SPACE as SMALL

SPACE = """
family: iformer
resolution: 32
num_classes: 10
stem: {kind: expand, width: 8, kernel: 3, strides: [2, 1]}
stages:
- depth: [1, 2]
  blocks:
  - {kind: conv, kernel: [3, 5], expand: [2, 3]}
- width: [16, 24]
  downsample: {kind: conv, kernel: 3, bias: false}
  depth: [1, 2, 3]
  blocks:
  - {kind: conv, kernel: 3, expand: [2, 3]}
head: {kind: pool_norm}
"""
QUICK = ["--protocol", "rounds=2", "--protocol", "burst_runs=3", "--protocol", "burst_ms=0", "--protocol", "drift=10"]


def typed(*arguments):
    """The exit status."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as end:  # argparse's
        return end.code


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A plan of a small space, and its table of this computer through PyTorch."""
    folder = tmp_path_factory.mktemp("latency")
    save_space(parse_space(SPACE), folder / "space.yaml")
    assert typed("plan", folder / "space.yaml", "--out", folder / "plan", "--networks", 6, "--unseen", 4) == 0
    table = folder / "host.sqlite"
    assert typed("measure", folder / "plan", "--device", "torch", "--table", table, *QUICK) == 0
    return folder


def test_a_plan_has_each_unit_once():
    spaces = [load_space("iformer_small"), load_space("tiny")]
    plan = make_plan(spaces, networks=5, unseen=3)
    assert len(set(plan.items)) == len(plan.items)
    assert len(plan.chains) < naive_number(spaces) / 2
    assert 10 < len(plan.networks) <= 17
    macs = [count(item.spec).macs for item in plan.networks[1:6]]
    assert macs == sorted(macs)
    assert macs[-1] > 3 * macs[0]


def test_several_spaces_share_a_plan(folder, tmp_path, capsys):
    for name in ("iformer_small", "tiny", "tiny"):
        assert typed("plan", name, "--out", tmp_path / "plan", "--networks", 2) == 0
    plan = load_plan(tmp_path / "plan")
    assert plan.spaces == ("iformer_small", "tiny")
    assert len(set(plan.items)) == len(plan.items)
    assert "of the" in capsys.readouterr().out


def test_predictions_of_a_measured_table(folder, tmp_path, capsys):
    table, spec = folder / "host.sqlite", parse_space(SPACE).largest()
    save_spec(spec, tmp_path / "mine.yaml")
    assert typed("latency", table, tmp_path / "mine.yaml", "--json") == 0
    row = json.loads(capsys.readouterr().out)
    assert 0 < row["low_ms"] <= row["ms"] <= row["high_ms"]
    assert row["device"]["device"] == "torch"
    assert typed("show", table, "--device", 1, "--plot", tmp_path / "units.svg") == 0
    assert "block conv" in capsys.readouterr().out
    assert typed("validate", table, "--held-out", 4, "--json", "--plot", tmp_path / "fit.png") == 0
    found = json.loads(capsys.readouterr().out.splitlines()[0])
    assert found["networks"] == 4
    assert (tmp_path / "units.svg").read_text().startswith("<?xml")
    assert (tmp_path / "fit.png").read_bytes().startswith(b"\x89PNG")


def test_measuring_again_measures_nothing(folder, capsys):
    table = folder / "host.sqlite"
    before = table.read_bytes()
    assert typed("measure", folder / "plan", "--device", "torch", "--table", table, *QUICK) == 0
    assert table.read_bytes() == before


def test_exported_and_measured_by_onnx_runtime(tmp_path, capsys):
    table, folder = tmp_path / "t.sqlite", tmp_path / "plan"
    save_space(parse_space(SMALL), tmp_path / "space.yaml")
    assert typed("plan", tmp_path / "space.yaml", "--out", folder, "--networks", 2) == 0
    assert typed("measure", folder, "--table", table, *QUICK) == 2
    assert f"are not exported: `python -m latency_lut export {folder} --to onnx` does it" in capsys.readouterr().err
    assert typed("export", folder, "--to", "onnx") == 0
    plan = load_plan(folder)
    rows = manifest(folder, "onnx")
    assert {item.id for item in plan.items} == set(rows)
    written = {item: file_of(folder, "onnx", item).stat().st_mtime_ns for item in plan.items}
    lost = file_of(folder, "onnx", plan.items[0])
    lost.unlink()
    assert typed("export", folder, "--to", "onnx") == 0  # makes what is missing, and only that
    again = {item: file_of(folder, "onnx", item).stat().st_mtime_ns for item in plan.items}
    assert {item for item in again if again[item] != written[item]} == {plan.items[0]}
    assert "sha256" in manifest(folder, "onnx")[plan.items[0].id]
    whole = lost.read_bytes()
    lost.write_bytes(whole[:-100])
    assert typed("measure", folder, "--table", table, *QUICK) == 2
    said = capsys.readouterr().err
    assert f"failed: {plan.items[0]}: " in said
    assert said.endswith("error: measure: 1 items failed; the same command tries them again\n")
    lost.write_bytes(whole)
    assert typed("measure", folder, "--table", table, *QUICK) == 0
    with Store(table) as store:
        found = Latencies(store, store.find())
        assert len(found.slopes) == len({item.text for item in plan.chains})
        assert {latency.bursts for latency in found.slopes.values()} == {2}
        assert not store.failures(store.find())


def test_what_a_phone_measured_goes_into_the_table(folder, tmp_path):
    """Results as the app writes them, made up here."""
    plan = load_plan(folder / "plan")
    protocol = Protocol(rounds=2)
    lines = [
        {"event": "device", "model": "iPhone14,5", "os": "iOS 17.7", "cores": 6, "memory_bytes": 4 << 30, "app": "1.0"}
        | {"format": 1, "job": "j", "time": "2026-01-01T00:00:00Z"}
    ]
    state = {"compile_ms": 1, "load_ms": 2, "thermal_before": "nominal", "thermal_after": "nominal", "low_power": False}
    state |= {"interrupted": False, "counts": True}
    for round_ in range(2):
        place = {"round": round_, "attempt": 0}
        for item in plan.items:
            ms = item.copies * 0.25 + 0.1 if item.copies else 1.5
            lines.append({"event": "burst", "id": item.id, "samples_ms": [ms] * 5, **place, **state})
        lines.append({"event": "round", **place, "anchor_ms": [1.5, 1.5], "accepted": True, "drifted": False})
    lines.append({"event": "sustained", "id": plan.anchor.id, "samples_ms": [2.5] * 9, **state})
    lines.append({"event": "finished"})
    file = tmp_path / "results.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with Store(tmp_path / "t.sqlite", create=True) as store:
        for _ in range(2):
            store_results(store, plan, read_results(file, "j"), protocol, "all")
        collection = store.find("iPhone14,5")
        found = Latencies(store, collection)
        assert [latency.ms for latency in found.slopes.values()] == pytest.approx([0.25] * len(found.slopes))
        assert found.of(plan.anchor).ms == 1.5
        assert sustained_ms(store, collection) == {plan.anchor: 2.5}


def test_a_job_is_packed(folder, tmp_path, capsys, monkeypatch):
    assert typed("pack", folder / "plan", tmp_path / "job.tar") == 2
    assert "items are not exported: `python -m latency_lut export" in capsys.readouterr().err
    for item in load_plan(folder / "plan").items:  # in place of packages, which take a second each
        package = file_of(folder / "plan", "coreml", item)
        package.mkdir(parents=True)
        (package / "Manifest.json").write_text("{}")
        with (package.parent / "manifest.jsonl").open("a") as rows:
            print(json.dumps({"id": item.id, "sha256": "0" * 64}), file=rows)
    assert typed("pack", folder / "plan", tmp_path / "job.tar", "--protocol", "rounds=3") == 0
    assert (tmp_path / "job.tar").stat().st_size > 10_000
    job = read_job(folder / "plan" / "job_all")
    assert job.protocol.rounds == 3
    assert job.protocol.idle_ms == 300
    assert job.anchor == load_plan(folder / "plan").anchor.id


def test_packages_for_another_system_are_made_again(folder, tmp_path, capsys, monkeypatch):
    """A command that names none goes on with that of what is there."""

    def made(item, into, form, options):
        (into / f"{item.id}.mlpackage").mkdir()
        targets.append(options["target"])
        return {"id": item.id, "what": "", "sha256": "0" * 64, **options}

    monkeypatch.setattr("latency_lut.exporting._export_one", made)
    shutil.copy(folder / "plan" / "plan.json", tmp_path)
    number, made_for = len(load_plan(tmp_path).items), []
    for options in ([], ["--target", "iOS18"], []):
        targets = []
        assert typed("export", tmp_path, "--to", "coreml", *options) == 0
        made_for.append(targets)
    assert made_for == [["iOS17"] * number, ["iOS18"] * number, []]
    capsys.readouterr()
    assert typed("export", tmp_path, "--to", "coreml", "--target", "iOS8") == 2
    assert "error: --target: 'iOS8' is not one of iOS16, iOS17" in capsys.readouterr().err
    assert typed("export", tmp_path, "--target", "iOS17") == 2
    assert "error: --target: is for --to coreml only" in capsys.readouterr().err


def test_a_report_of_xcode(tmp_path, capsys):
    report = tmp_path / "mine.mlperf"
    report.mkdir()
    (report / "report.json").write_text(
        json.dumps(
            {
                "deviceInfo": {"modelName": "iPhone 13", "osNameAndVersionWithoutBuildNumber": "iOS 17.7"},
                "modelMetadata": {"fileName": "net.mlpackage", "size": 1},
                "computeUnit": 2,
                "deviceResults": {"predict": {"samples": [0.0010, 0.0012, 0.0011], "numOperations": 10}},
            }
        )
    )
    table = tmp_path / "t.sqlite"
    assert typed("import", table, report) == 2
    assert "error: --spec: a .mlperf report is imported alone" in capsys.readouterr().err
    assert typed("import", table, report, "--spec", "iformer_t") == 0
    assert "iformer_t: 1.100 ms on iPhone 13 with iOS 17.7" in capsys.readouterr().out
    with Store(table) as store:
        (measured,) = Latencies(store, store.find()).networks
    assert measured.spec == load_spec("iformer_t")


def test_a_new_device_from_its_networks_only(folder, tmp_path, capsys):
    """The units are those of the known one, which here is the same computer."""
    plan = ["plan", folder / "space.yaml", "--out", tmp_path / "plan", "--no-units", "--networks", 8]
    assert typed(*plan) == 0
    assert not load_plan(tmp_path / "plan").chains
    assert typed("measure", tmp_path / "plan", "--device", "torch", *QUICK) == 0
    new, spec = tmp_path / "plan" / "table.sqlite", tmp_path / "member.yaml"
    save_spec(parse_space(SPACE).largest(), spec)
    assert typed("latency", new, spec) == 2
    assert "was not measured on" in capsys.readouterr().err
    assert typed("latency", new, spec, "--units-from", folder / "host.sqlite") == 0
    assert " ms (" in capsys.readouterr().out
    assert typed("validate", new, "--units-from", folder / "host.sqlite") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "iformr", "--out", "x"], "error: iformr: no space has this name, did you mean 'iformer'?"),
        (["plan", "iformer", "--out", "x", "--resolution", "13"], "error: "),
        (["export", "x"], "error: x/plan.json: can't be read: No such file or directory; `python -m latency_lut plan`"),
        (["measure", "x", "--table", "t"], "error: x/plan.json: can't be read"),
        (["show", "t"], "error: t: there is no such table"),
        (["validate", "t"], "error: t: there is no such table"),
        (["latency", "t", "iformer_t"], "error: t: there is no such table"),
        (["dump", "t", "x.csv"], "error: t: there is no such table"),
        (["measure", "x", "--table", "t", "--threads", "0"], "argument --threads: '0' is not a whole number from 1 on"),
        (["measure", "x", "--device", "iphone", "--table", "t"], "error: --team: is missing"),
        (["measure", "x"], "error: x/plan.json: can't be read"),
        (["measure", "x", "--device", "iphone", "--team", "ABCDE12345"], "error: x/plan.json: can't be read"),
    ],
)
def test_errors(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert typed(*arguments) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())


def test_protocols_from_the_command_line():
    found = protocol_of(["rounds=3", "burst_ms=2.5", "drift=1e-2"], Protocol())
    assert (found.rounds, found.burst_ms, found.drift) == (3, 2.5, 0.01)
    for setting, message in (
        ("round=3", "NAME=VALUE with one of"),
        ("rounds=x", "'x' is no number"),
        ("rounds=0", "0 is"),
    ):
        with pytest.raises(SpecError, match=message):
            protocol_of([setting], Protocol())


def test_too_few_networks_to_hold_some_out(folder, capsys):
    assert typed("validate", folder / "host.sqlite", "--held-out", 8) == 2
    said = capsys.readouterr().err
    assert "11 measured networks with known units are too few to hold 8 out, as a fit needs 4: `python -m" in said
    assert "plan SPACE --out PLAN --networks 30 --unseen 8` plans more" in said


def test_a_plan_of_units_only(tmp_path, capsys):
    assert typed("plan", "tiny", "--out", tmp_path, "--networks", 0) == 0
    assert "chains; 1 network\n" in capsys.readouterr().out  # the anchor


def test_a_damaged_plan(tmp_path, capsys):
    (tmp_path / "plan.json").write_text("{")
    assert typed("export", tmp_path) == 2
    assert "is no plan, or damaged" in capsys.readouterr().err


def test_networks_side_by_side(folder, tmp_path, capsys):
    save_spec(parse_space(SPACE).largest(), tmp_path / "mine.yaml")
    models = (tmp_path / "mine.yaml", "timm:test_resnet")
    options = ("--device", "torch", "--resolution", 64, "--batch", 2, "--csv", tmp_path / "t.csv", *QUICK)
    assert typed("bench", *models, *options, "--plot", tmp_path / "peers.svg", "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["model"] for row in rows] == [str(model) for model in models]
    for row in rows:
        assert 0 < row["low_ms"] <= row["ms"] <= row["high_ms"]
        assert row["images_per_second"] == pytest.approx(2000 / row["ms"], rel=0.5)
        assert (row["batch"], row["resolution"], row["device"]["device"]) == (2, 64, "torch")
    assert rows[0]["params_m"] == pytest.approx(count(parse_space(SPACE).largest()).params / 1e6)
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 3
    once = ("--protocol", "rounds=1", "--protocol", "burst_runs=20")
    assert typed("bench", models[0], "--device", "torch", "--json", *once) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["low_ms"] < row["ms"] < row["high_ms"], "the spread of its runs"
    assert typed("bench", "timm:resnet_18") == 2
    assert "'resnet_18' is no model of timm's, did you mean 'resnet" in capsys.readouterr().err


@pytest.mark.slow
def test_jobs_at_the_same_time(capsys):
    assert typed("bench", "timm:test_resnet", "--jobs", 2, "--device", "torch", "--resolution", 64, *QUICK) == 0
    assert "2 jobs" in capsys.readouterr().out
