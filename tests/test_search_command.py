"""search.py as a user types it: from a config to a front, also when it is killed, or helped by a second process."""

import csv
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

import search as package
from latency_lut.__main__ import main as latency_lut
from search.driver import Search
from search.progress import _Lines
from supernet import build, count, load_space, load_spec
from tests.forks import PYTHON
from tests.made_up_accuracy import one

ROOT = Path(__file__).parents[1]
CONFIG = {
    "space": "tiny",
    "objectives": ["accuracy", "params"],
    "constraints": ["macs <= 0.4 M"],
    "evaluations": 40,
    "method": {"kind": "evolution", "population": 16, "children": 8},
    "accuracy": {"function": "tests.made_up_accuracy:accuracy"},
}


def main(*arguments):
    """The exit status of search.py, run in this process."""
    scope = {"__name__": "search_script"}
    exec(compile((ROOT / "search.py").read_text(), "search.py", "exec"), scope)  # noqa: S102  a script beside a package
    try:
        return scope["main"]([str(argument) for argument in arguments])
    except SystemExit as end:
        return end.code


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "search.yaml"
    path.write_text(yaml.safe_dump(CONFIG))
    return path


def front(folder):
    """As values: what was found, in which order."""
    with (folder / "front.csv").open() as file:
        return list(csv.DictReader(file))


def test_from_a_config_to_a_front(config, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(config, "--out", out) == 0
    said = capsys.readouterr().out
    assert "evolution over 46,440 networks of tiny: most accuracy, least params with macs <= 400 k" in said
    assert "40 networks evaluated" in said
    rows, space = front(out), load_space("tiny")
    files = sorted((out / "front").iterdir())
    assert len(rows) == len(files) > 2
    for row, file in zip(rows, files, strict=True):
        spec = load_spec(file)
        assert row["file"] == f"front/{file.name}"
        assert spec in space
        assert count(spec).macs <= 4e5
        assert int(row["params"]) == count(spec).params
        assert float(row["accuracy %"]) == pytest.approx(one(spec))
        build(spec)
    accuracies = [float(row["accuracy %"]) for row in rows]
    assert one(load_spec(out / "best.yaml")) == pytest.approx(max(accuracies))
    assert accuracies == sorted(accuracies, reverse=True)
    assert sorted(float(row["params"]) for row in rows)[::-1] == [float(row["params"]) for row in rows]
    for name in ("report.html", "front.svg", "config.yaml", "space.yaml", "environment.json", "study.db"):
        assert (out / name).stat().st_size


def test_it_goes_on_and_adds_nothing_twice(config, tmp_path, capsys):
    short, whole = tmp_path / "short", tmp_path / "whole"
    assert main(config, "--out", short, "--set", "evaluations=20") == 0
    assert main(config, "--out", short) == 0
    assert "20 evaluations are there already" in capsys.readouterr().out
    assert main(config, "--out", whole) == 0
    assert front(short) == front(whole)
    assert evaluations(short) == evaluations(whole)
    assert len(evaluations(short)) == 40


def test_results_of_a_whole_study(config, tmp_path, capsys):
    """Of two seeds: each on its own is as if the other were not there; together, nothing beats the front."""
    out, alone = tmp_path / "run", tmp_path / "alone"
    assert main(config, "--out", out, "--set", "seed=1") == 0
    other = front(out)
    assert main(config, "--out", out) == 0
    said = capsys.readouterr().out
    assert "other evaluations of the study" in said
    assert "--set whole_study=true" in said
    assert main(config, "--out", alone) == 0
    assert front(out) == front(alone)
    assert main(config, "--out", out, "--set", "whole_study=true") == 0
    assert f"{len(evaluations(out))} networks evaluated" in capsys.readouterr().out
    whole, rows = front(out), [*front(alone), *other]
    codes = {row["code"] for row in whole}
    assert codes <= {row["code"] for row in rows}
    for row in rows:
        beaten = (
            float(one["accuracy %"]) >= float(row["accuracy %"]) and int(one["params"]) <= int(row["params"])
            for one in whole
        )
        assert row["code"] in codes or any(beaten)
    assert load_spec(out / "best.yaml") == load_spec(out / whole[0]["file"])


def evaluations(folder):
    """The codes in the study, sorted: each as often as it was evaluated."""
    with sqlite3.connect(folder / "study.db") as connection:
        found = connection.execute(
            "SELECT value_json FROM trial_user_attributes JOIN trials USING (trial_id) WHERE state = 'COMPLETE'"
        ).fetchall()
    return sorted(str(json.loads(text)["code"]) for (text,) in found)


def started(config, out, pause_s=0.01, *more):
    environment = os.environ | {"MADE_UP_PAUSE_S": str(pause_s), "PYTHONPATH": str(ROOT)}
    command = [*PYTHON, str(ROOT / "search.py"), str(config), "--out", str(out), *more]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.slow
def test_two_processes_and_a_kill(config, tmp_path):
    """Three starts of one command at once, one of which is killed: the front is that of one alone."""
    alone, together = tmp_path / "alone", tmp_path / "together"
    assert main(config, "--out", alone) == 0
    processes = [started(config, together, 0.1) for _ in range(3)]
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (together / "study.db").exists():
        time.sleep(0.1)
    while time.monotonic() < deadline and known(together) < 8:
        time.sleep(0.05)
    processes[0].send_signal(signal.SIGKILL)
    processes[0].wait()
    for process in processes[1:]:
        said, _ = process.communicate(timeout=240)
        assert process.returncode == 0, said
    assert front(together) == front(alone)
    assert evaluations(together) == evaluations(alone)


def known(folder):
    try:
        return len(evaluations(folder))
    except sqlite3.OperationalError:  # it is being made
        return 0


class Killed(BaseException):
    """As if the process had gone."""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["evolution", "random", "slimming"])
def test_killed_at_any_moment(method, config, tmp_path, monkeypatch):
    """At ten random evaluations; then as if nothing had been."""
    setting = ("--set", f"method={{kind: {method}}}", "--set", "evaluations=30")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert main(config, "--out", whole, *setting) == 0
    rng, real = random.Random(method), Search.spec
    for _ in range(10):
        left = [rng.randrange(1, 8)]

        def dying(self, code, left=left):
            left[0] -= 1
            if not left[0]:
                raise Killed
            return real(self, code)

        monkeypatch.setattr(Search, "spec", dying)
        try:
            main(config, "--out", killed, *setting)
        except Killed:
            continue
        finally:
            monkeypatch.setattr(Search, "spec", real)
    assert main(config, "--out", killed, *setting) == 0
    assert front(killed) == front(whole)
    assert evaluations(killed) == evaluations(whole)


def test_ctrl_c_leaves_a_usable_front(config, tmp_path, capsys, monkeypatch):
    out, count_ = tmp_path / "run", [0]
    real = Search.spec

    def interrupted(self, code):
        count_[0] += 1
        if count_[0] == 21:
            raise KeyboardInterrupt
        return real(self, code)

    monkeypatch.setattr(Search, "spec", interrupted)
    assert main(config, "--out", out) == 130
    assert "the same command goes on" in capsys.readouterr().out
    assert len(front(out)) > 1
    assert "<html" in (out / "report.html").read_text()
    assert load_spec(out / "best.yaml") in load_space("tiny")


def files(folder):
    """All results, as they are."""
    names = [
        "front.csv",
        "best.yaml",
        "report.html",
        "front.svg",
        *(f"front/{path.name}" for path in (folder / "front").iterdir()),
    ]
    return {name: (folder / name).read_bytes() for name in names}


def test_going_on_makes_nothing_worse(config, tmp_path, capsys, monkeypatch):
    """A finished search that is started again and stopped before it comes to anything new leaves all as it was; what is
    known is not written batch by batch."""
    out, real = tmp_path / "run", Search.spec
    assert main(config, "--out", out) == 0
    before, written = files(out), []

    def interrupted(search):
        if len(search.trail) >= 16 and not search.fresh:
            raise KeyboardInterrupt

    monkeypatch.setattr(_Lines, "show", lambda self, search: interrupted(search))
    monkeypatch.setattr("search.command.write_networks", lambda *_: written.append(1))
    capsys.readouterr()
    assert main(config, "--out", out, "--set", "evaluations=60") == 130
    assert "stopped before anything new was evaluated; what is in" in capsys.readouterr().out
    assert files(out) == before
    assert not written
    monkeypatch.setattr(_Lines, "show", lambda self, search: None)
    assert main(config, "--out", out) == 0
    assert not written, "all was known"
    assert "left" not in capsys.readouterr().err
    count_ = [0]

    def new_ones(self, code):
        count_[0] += 1
        if count_[0] == 30:
            raise KeyboardInterrupt
        return real(self, code)

    monkeypatch.setattr(Search, "spec", new_ones)
    assert main(config, "--out", out, "--set", "evaluations=60") == 130
    assert "stopped; what was found until now is in" in capsys.readouterr().out
    assert written
    assert files(out) != before


def test_somebody_in_a_hurry(config, tmp_path, capsys, monkeypatch):
    """Ctrl-C while the results are written: one line says so, and the next start writes them."""
    out = tmp_path / "run"

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("search.results.writing.draw_front", interrupted)
        assert main(config, "--out", out) == 130
    assert "stopped while the results were written" in capsys.readouterr().out
    assert main(config, "--out", out) == 0
    assert (out / "front.svg").exists()


def test_one_objective_is_no_front(config, tmp_path, capsys):
    """Those who ask for a way down are told what it takes."""
    single = ("--set", "objectives=[accuracy]", "--set", "constraints=[]", "--set", "evaluations=6")
    assert main(config, "--out", tmp_path / "run", *single, "--set", "method={kind: slimming}") == 0
    assert (
        "the front is one network; for the whole way down, set objectives=[accuracy, params]" in capsys.readouterr().out
    )
    assert main(config, "--out", tmp_path / "other", *single) == 0
    assert "whole way" not in capsys.readouterr().out


def test_a_budget_that_few_keep(config, tmp_path, capsys):
    """What the error names can be typed; the search ends when there are no more."""
    tight = ("--set", "space=iformer", "--set", "evaluations=4", "--set", "constraints=[params <= 822.8 k]")
    assert main(config, "--out", tmp_path / "run", *tight) == 2
    named = re.search(r"the least that one has is (params) (\S+ \S)", capsys.readouterr().err)
    assert named is not None
    typed = f"constraints=[{named[1]} <= {named[2]}]"
    assert main(config, "--out", tmp_path / "run", *tight[:4], "--set", typed) == 0
    assert "networks evaluated" in capsys.readouterr().out


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Of this computer, through PyTorch; quick and rough."""
    folder = tmp_path_factory.mktemp("table")
    quick = ["rounds=1", "burst_runs=3", "burst_ms=0", "drift=10", "warm_up=1"]
    options = [part for one_ in quick for part in ("--protocol", one_)]
    assert latency_lut(["plan", "tiny", "--out", str(folder / "plan"), "--networks", "8"]) == 0
    path = folder / "host.sqlite"
    assert latency_lut(["measure", str(folder / "plan"), "--device", "torch", "--table", str(path), *options]) == 0
    return path


def test_with_a_table_of_this_computer(config, table, tmp_path, capsys, monkeypatch):
    """Latency as objective and limit, the efficiency score, and the best one measured in the end."""
    out = tmp_path / "run"
    probe = main(config, "--out", tmp_path / "probe", *tables(table), "--set", "constraints=['latency host <= 0.0001']")
    assert probe == 2
    setting = [
        *tables(table),
        *("--set", "objectives=[accuracy, latency host, efficiency]"),
        *("--set", "efficiency={metrics: [latency host, params], units: [1, 3e6], alphas: [-1, -0.5]}"),
        *("--set", "measure=host", "--set", "evaluations=24"),
    ]
    assert main(config, "--out", out, *setting) == 0
    rows = front(out)
    for row in rows:
        ms, low, high = (float(row[f"latency host{end} ms"]) for end in ("", " low", " high"))
        assert low <= ms <= high
        assert float(row["efficiency"]) == pytest.approx(100 / ms * (int(row["params"]) / 3e6) ** -0.5)
    assert "predicted" in (out / "report.html").read_text().lower()
    said = capsys.readouterr().out.splitlines()
    assert said[-2] == "measuring the best network on host ..."
    assert re.fullmatch(r"measured \S+ ms, predicted \S+ ms: the prediction is off by [+-]\S+%", said[-1])
    assert (out / "measured" / "measured.sqlite").exists()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("search.measured.measured", interrupted)
    page = (out / "report.html").read_text()
    assert main(config, "--out", out, *setting) == 130
    assert '"comparisons":[{' in page, "what was measured"
    assert '"comparisons":[{' in (out / "report.html").read_text(), "also where that was interrupted the next time"
    capsys.readouterr()
    assert main(config, "--out", tmp_path / "other", *setting) == 130
    assert "stopped; the best network was not measured" in capsys.readouterr().out
    assert {"report.html", "front.svg", "best.yaml"} <= {path.name for path in (tmp_path / "other").iterdir()}


def tables(path):
    return "--set", f"tables=[{{name: host, file: '{path}'}}]"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["method.kind=evoluton"], "method.kind: 'evoluton' is unknown, did you mean 'evolution'?"),
        (["method.populaton=3"], "there is no field 'populaton' in method, did you mean 'population'?"),
        (["method.population=2"], "method.population: 2 is not a number from 4"),
        (["objectives=[params]"], "objectives: accuracy must be among them"),
        (["objectives=[accuracy, latency phone]"], "objectives[1]: none of `tables` has the name 'phone'"),
        (["constraints=[params = 3]"], "constraints[0]: 'params = 3' is not of the form"),
        (
            ["constraints=[params <= 100]"],
            "constraints[0]: no network of the space keeps params <= 0.1 k: the smallest misses it by",
        ),
        (
            ["constraints=[params <= 4 k, macs >= 0.5 M]"],
            "constraints: no network was found that keeps all of them; the nearest breaks",
        ),
        (["space=tinny"], "space: tinny: no space has this name, did you mean 'tiny'?"),
        (["supernet=nowhere"], "supernet: the folder of a trained supernet is needed, or accuracy.function instead"),
        (["accuracy.function=tests.made_up_accuracy"], "is not of the form module:name"),
        (["accuracy.function=tests.made_up_accuracy:nothing"], "can't be found"),
        (["accuracy.function=tests.made_up_accuracy:wrong"], "accuracy.function: it gave [1.0, 2.0] for 1 spec"),
        (["tables=[{name: a, file: no.sqlite}]"], "no.sqlite: there is no such table"),
        (
            ["method=evolution"],
            "method: 'evolution' can't stand here: expected fields and their values, {kind: evolution}",
        ),
        (["method=evoluton"], "method: 'evoluton' can't stand here: expected fields and their values, {kind: ...}"),
        (["constraints=[params < 8 k]"], "constraints[0]: 'params < 8 k': limits belong to what is allowed; write <="),
        (["constraints=[params <= 3941]"], "the least that one has is params 3.942 k"),
        (["objectives=[accuracy, sizes]"], "objectives[1]: the metric 'sizes' is not known, did you mean 'size'?"),
        (["objectives=[accuracy, efficiency]"], "objectives[1]: efficiency must be defined first: set the option `eff"),
        (
            ["efficiency={metrics: [params, params], units: [1, 2], alphas: [-1, -1]}"],
            "efficiency.metrics: a metric is there twice",
        ),
        (["accuracy.calibration_images=0"], "accuracy.calibration_images: 0 is not a number from 2"),
        (["workers.number=8"], "workers.number: 8 are actors of Ray: set workers.where=ray"),
        (["method={kind: importance}"], "method"),
        (["method={kind: optuna, sampler: TPE}"], "method.sampler: Optuna has no sampler 'TPE'"),
        (["storage=grpc://127.0.0.1:1"], "connection timeout"),
        (["measure=phone"], "measure: 'phone' is no table"),
        (["storage=nonsense"], "storage: 'nonsense' is no URL"),
    ],
)
def test_wrong_input_is_one_line(settings, words, config, tmp_path, capsys):
    overrides = [part for setting in settings for part in ("--set", setting)]
    assert main(config, "--out", tmp_path / "run", *overrides) == 2
    said = capsys.readouterr().err.strip().splitlines()
    errors = [line for line in said if line.startswith("error: ")]
    assert len(errors) == 1
    assert words in errors[0]
    assert not (tmp_path / "run").exists() or "it gave" in words, "what is wrong is found out before"


def test_what_was_measured_before_and_is_damaged_is_said(tmp_path, caplog):
    from types import SimpleNamespace

    from search.measured import measured_before

    problem = SimpleNamespace(costs=SimpleNamespace(tables={"host": None}))
    spec = load_space("tiny").smallest()
    assert measured_before(problem, "host", spec, 1.0, tmp_path) is None
    assert not caplog.records, "nothing was measured, nothing is missed"
    (tmp_path / "measured").mkdir()
    (tmp_path / "measured" / "measured.sqlite").write_bytes(b"no table " * 1000)
    assert measured_before(problem, "host", spec, 1.0, tmp_path) is None
    assert "what was measured before is not shown" in caplog.text


def test_evaluations_of_something_else_are_not_mixed(config, tmp_path, capsys):
    assert main(config, "--out", tmp_path / "run", "--set", "evaluations=4") == 0
    assert main(config, "--out", tmp_path / "run", "--set", "space=iformer_small", "--set", "constraints=[]") == 2
    assert "is of another problem" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["space: tiny\ndata: {source: digits}", "", None])
def test_a_folder_of_something_else_is_left_alone(content, config, tmp_path, capsys):
    out = tmp_path / "run"
    (out / "checkpoints").mkdir(parents=True)
    if content is not None:
        (out / "config.yaml").write_text(content)
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert main(config, "--out", out) == 2
    assert "holds something else than a search; name a folder that is not there yet" in capsys.readouterr().err
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before


def test_what_was_wrong_at_first_is_in_nobodys_way(config, tmp_path, capsys):
    """Nothing was evaluated, so the study is free for other objectives."""
    out, shorter = tmp_path / "run", ("--set", "evaluations=8")
    assert main(config, "--out", out, "--set", "method={kind: optuna, sampler: CmaEsSampler}", *shorter) == 2
    assert main(config, "--out", out, "--set", "accuracy.function=tests.made_up_accuracy:wrong", *shorter) == 2
    single = ("--set", "method={kind: optuna, sampler: CmaEsSampler}", "--set", "objectives=[accuracy]")
    assert main(config, "--out", out, *single, *shorter) == 0
    kept = (out / "config.yaml").read_text()
    capsys.readouterr()
    assert main(config, "--out", out, *shorter) == 2
    assert "is of another problem: objectives is" in capsys.readouterr().err
    assert (out / "config.yaml").read_text() == kept


def test_a_method_that_runs_out_says_so(config, tmp_path, capsys):
    few = ("--set", "constraints=[params <= 3.95 k]", "--set", "method={kind: random}")
    assert main(config, "--out", tmp_path / "run", *few) == 0
    assert "1 network evaluated, 1 on the front" in (said := capsys.readouterr().out)
    assert "the method has no further networks than these, of 40 evaluations" in said
    assert main(config, "--out", tmp_path / "run", "--set", "evaluations=8", "--set", "constraints=[]") == 0
    assert "other evaluation of the study" in capsys.readouterr().out


def test_the_script_does_not_hide_the_package():
    assert Path(package.__file__).parent.name == "search"
    found = subprocess.run(
        [sys.executable, ROOT / "search.py", "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    assert "--set a.b=c" in found.stdout


def test_figures_are_the_same_for_the_same_seed(config, tmp_path):
    for name in ("a", "b"):
        assert main(config, "--out", tmp_path / name, "--set", "seed=3") == 0
    assert front(tmp_path / "a") == front(tmp_path / "b")
    assert main(config, "--out", tmp_path / "c", "--set", "seed=4") == 0
    assert evaluations(tmp_path / "c") != evaluations(tmp_path / "a")
    assert np.isfinite([float(row["accuracy %"]) for row in front(tmp_path / "c")]).all()
