"""The benchmarks run, and their rows say what they should; what is measured here is too little to say anything."""

import itertools
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.forks import PYTHON

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from bench.overhead.targets import TARGETS, results  # noqa: E402
from bench.supernet import main, parse  # noqa: E402
from bench.timing import Comparison, Timed, in_turn  # noqa: E402

ABOUT = {"table", "space", "batch", "pixels", "is_small", "amp", "device"}
COMPARED = {"ours_ms", "static_ms", "ratio", "ratio_quartiles", "pairs"}
KEYS = {
    "passes": ABOUT | COMPARED | {"member", "pass"},
    "steps": ABOUT | COMPARED,
    "assembling": ABOUT | {"new_ms", "kept_ms", "subnets"},
    "memory": ABOUT
    | {"static", "ours_mb", "static_mb", "ratio", "before_mb", "ours_params_m", "static_params_m", "steps", "repeats"},
    "calibration": ABOUT | COMPARED - {"static_ms"} | {"evaluation_ms", "member", "batches"},
    "targets": {"table", "space", "target", "ratio", "limit", "is_met"},
    "elsewhere": {"table", "system", "batch", "pixels", "training", "forward"},
}


QUICK = ("--quick", "--spaces", "tiny")


def run(*arguments: str) -> str:
    command = [*PYTHON, str(ROOT / "bench" / "supernet.py"), *QUICK, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_rows_of_the_supernet():
    rows = [json.loads(line) for line in run("--pairs", "2", "--json").splitlines()]
    for row in rows:
        assert set(row) == KEYS[row["table"]]
        numbers = [row[key] for key in row if key.endswith(("_ms", "_mb", "_m", "ratio"))]
        assert all(math.isfinite(number) and number > 0 for number in numbers), row
        if "ratio_quartiles" in row:
            low, high = row["ratio_quartiles"]
            assert 0 < low <= row["ratio"] * (1 + 1e-9)
            assert row["ratio"] <= high * (1 + 1e-9)
    assert {row["table"] for row in rows} == set(KEYS)

    passes = [(row["is_small"], row["member"], row["pass"]) for row in rows if row["table"] == "passes"]
    members, kinds = ("largest", "smallest", "random 1"), ("forward+backward", "forward")
    assert passes == list(itertools.product((False, True), members, kinds))
    small = [row for row in rows if row["table"] == "passes" and row["is_small"]]
    assert {row["batch"] for row in small} == {2}  # the head of tiny has a batch norm

    largest, as_many = (row for row in rows if row["table"] == "memory")
    assert largest["static_params_m"] < as_many["static_params_m"] == as_many["ours_params_m"]
    assert [row["target"] for row in rows if row["table"] == "targets"] == [target.name for target in TARGETS]


@pytest.mark.slow
def test_table_for_people(monkeypatch, capsys):
    threads, benchmark = torch.get_num_threads(), torch.backends.cudnn.benchmark
    arguments = ("--pairs", "1", "--tables", "passes", "small", "calibration")
    monkeypatch.setattr(sys, "argv", ["supernet.py", *QUICK, *arguments])
    main()
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = benchmark
    out = capsys.readouterr().out
    assert "tiny: batch 2, 16 px, cpu" in out
    assert "AttentiveNAS              batch 2, 96 px    forward+backward 1.28-1.44" in out
    assert "sandwich step" not in out
    assert out.splitlines()[-1].split()[-1] in ("met", "MISSED")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tables", "speed"], "invalid choice: 'speed'"),
        (["--pairs", "0"], "--pairs 0: at least 1 is needed"),
        (["--spaces", "tiniest"], "tiniest"),
    ],
)
def test_unknown_things_are_refused(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_throughput_is_for_gpus_unless_asked_for():
    assert "throughput" not in parse([]).tables
    assert parse(["--tables", "throughput"]).tables == ["throughput"]


def test_pairs_take_turns():
    order = []
    ours = Timed(lambda: order.append("ours"), lambda: order.append("before"))
    found = in_turn(itertools.repeat((ours, Timed(lambda: order.append("other"))), 3))
    assert order == ["before", "ours", "other", "other", "before", "ours", "before", "ours", "other"]
    assert len(found.times) == 3


def test_ratio_is_the_median_of_the_pairs():
    """And not the ratio of the medians, which a machine that slows down would distort."""
    found = Comparison([(1.0, 1.0), (2.0, 1.0), (9.0, 3.0), (4.0, 4.0), (10.0, 5.0)])
    assert found.ratio == 2.0
    assert found.ours_ms == 4000.0
    assert found.other_ms == 3000.0
    assert found.middle_half == [1.0, 2.0]


def test_targets_take_the_median_of_their_own_rows():
    def row(ratio: float, **values: object) -> dict[str, object]:
        return {"table": "passes", "space": "a", "pass": "forward+backward", "is_small": False, "ratio": ratio} | values

    rows = [
        row(1.0),
        row(1.02),
        row(9.0),
        row(9.0, is_small=True),
        row(1.5, space="b"),
        row(7.0, **{"pass": "forward"}),
    ]
    found = {(one["space"], one["target"]): one for one in results(rows)}
    assert {key: (one["ratio"], one["is_met"]) for key, one in found.items()} == {
        ("a", "forward+backward"): (1.02, True),
        ("a", "forward+backward, small batch"): (9.0, False),
        ("b", "forward+backward"): (1.5, False),
    }
