"""The log of a run: readable, each step once, and valid whatever was interrupted."""

import json
import os
import pty
import random
import time

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from supernet import SpecError
from training.config import LogConfig
from training.environment import environment
from training.log import RunLog
from training.progress import table

QUIET = LogConfig(every=1, tensorboard=False)


def _lines(folder):
    return [json.loads(line, parse_constant=pytest.fail) for line in (folder / "log.jsonl").read_text().splitlines()]


def _run(folder, stream, start, stop, config=QUIET, total=10, is_main=True):
    with RunLog(folder, config, is_main, total, start, stream) as log:
        for step in range(start + 1, stop + 1):
            log.step(step, step // 4, {"largest": 7 - step / 10, "smallest": 7.5}, 1e-3, 1234.56)
            if step % 4 == 0:
                log.evaluation(step, [{"name": "largest", "top1": 10.0 * step}])


@pytest.fixture
def stream(tmp_path):
    with (tmp_path / "output.txt").open("w+") as file:
        yield file


def _text(stream):
    stream.seek(0)
    return stream.read()


def test_plain_lines(tmp_path, stream):
    _run(tmp_path / "run", stream, 0, 10, LogConfig(every=4, tensorboard=False))
    lines = _text(stream).splitlines()
    assert [line.partition("  epoch")[0] for line in lines if line.startswith("step")] == [
        "step  4/10 ( 40%)",
        "step  8/10 ( 80%)",
        "step 10/10 (100%)",
    ]
    assert "epoch 1  largest 6.600  smallest 7.500  lr 1.00e-03  1,235 images/s  0:00:0" in lines[0]
    assert lines[1:4] == ["evaluation after step 4", "name      top1", "largest  40.00"]
    assert [(line["kind"], line["step"]) for line in _lines(tmp_path / "run")] == [
        ("step", 4),
        ("evaluation", 4),
        ("step", 8),
        ("evaluation", 8),
        ("step", 10),
    ]
    first = _lines(tmp_path / "run")[0]
    del first["time"]
    assert first == {
        "kind": "step",
        "step": 4,
        "epoch": 1,
        "losses": {"largest": 6.6, "smallest": 7.5},
        "lr": 1e-3,
        "images_per_second": 1234.6,
    }


@pytest.mark.parametrize("seed", range(20))
def test_each_step_once_after_interruptions(seed, tmp_path, stream):
    """It goes on from an earlier step, and the file may end anywhere in a line."""
    rng = random.Random(seed)
    start = 0
    for _ in range(4):
        stop = rng.randint(start, 10)
        _run(tmp_path, stream, start, stop)
        path = tmp_path / "log.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        start = rng.randint(start, stop)
        kept = b"".join(line for line in lines if json.loads(line)["step"] <= start)
        written = path.read_bytes()
        path.write_bytes(written[: rng.randint(len(kept), len(written))])
    _run(tmp_path, stream, start, 10)
    found = [(line["kind"], line["step"]) for line in _lines(tmp_path)]
    assert found == [(kind, s) for s in range(1, 11) for kind in ("step", "evaluation") if kind == "step" or s % 4 == 0]


def test_an_evaluation_that_is_done_again_stands_once(tmp_path, stream):
    _run(tmp_path, stream, 0, 4)
    with RunLog(tmp_path, QUIET, True, 10, 4, stream) as log:
        log.evaluation(4, [{"name": "largest", "top1": 40.0}])
        log.evaluation(5, [{"name": "largest", "top1": 41.0}])
    assert [line["step"] for line in _lines(tmp_path) if line["kind"] == "evaluation"] == [4, 5]


def test_damaged_lines_go_with_a_word(tmp_path, stream, caplog):
    _run(tmp_path, stream, 0, 2)
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"kind": "step"}\n[1]\n\xff\n' + path.read_bytes() + b'{"kind": "st')
    _run(tmp_path, stream, 2, 3)
    assert [line["step"] for line in _lines(tmp_path)] == [1, 2, 3]
    assert "4 half-written lines cut off" in caplog.text


def test_numbers_that_json_does_not_have(tmp_path, stream):
    with RunLog(tmp_path, LogConfig(every=1), True, 10, 0, stream) as log:
        log.step(1, 0, {"largest": float("nan"), "smallest": float("inf")}, 1e-3, float("inf"))
        log.evaluation(
            1, [{"name": "é", "top1": torch.tensor(float("-inf")), "params": torch.tensor(1000), "macs": None}]
        )
    assert _text(stream).endswith("name  top1  params  macs\né        -   1,000     -\n")
    step, evaluation = _lines(tmp_path)
    assert step["losses"] == {"largest": None, "smallest": None}
    assert evaluation["rows"] == [{"name": "é", "top1": None, "params": 1000, "macs": None}]


def test_tensorboard_forgets_what_was_after(tmp_path, stream):
    _run(tmp_path, stream, 0, 6, LogConfig(every=1))
    time.sleep(1 - time.time() % 1)  # files are read in the order of their names, which count seconds
    _run(tmp_path, stream, 3, 8, LogConfig(every=1))
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("loss/largest")] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert events.Scalars("top1/largest")[-1].value == 80
    assert {"lr", "epoch", "images_per_second", "loss/smallest"} <= set(events.Tags()["scalars"])


def test_other_processes_write_nothing(tmp_path, stream):
    with RunLog(tmp_path / "run", LogConfig(every=1), False, 10, 0, stream) as log:
        log.step(1, 0, {"largest": 1.0}, 1e-3, 1.0)
        log.evaluation(1, [{"name": "largest"}])
        log.advance(2)
        log.say("hello")
    assert _text(stream) == ""
    assert not (tmp_path / "run").exists()


def test_on_a_terminal(tmp_path, monkeypatch):
    """A real one, as far as programs can tell."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal, RunLog(tmp_path, QUIET, True, 1000, 0, terminal) as log:
        log.say("[red]not markup[/red]")
        log.step(250, 3, {"largest": 6.5, "sampled": 6.75}, 1e-3, 2000)
        log.evaluation(250, [{"name": "largest", "top1": 71.5}])
        log.advance(260)
    os.set_blocking(ours, False)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "[red]not markup[/red]" in shown
    assert "largest  71.50" in shown
    last = shown[shown.rindex("epoch") :]
    assert "epoch 3" in last
    assert "260/1000" in last
    assert "2,000 images/s" in last
    assert "largest 6.500  sampled 6.750  lr 1.0e-03" in last
    assert [line["step"] for line in _lines(tmp_path)] == [250, 250]


def test_what_is_due():
    log = RunLog("unused", LogConfig(every=4), True, 10)
    assert [step for step in range(1, 11) if log.due(step)] == [4, 8, 10]


def test_wandb_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for is_main in (True, False):
        with pytest.raises(SpecError, match=r"^log.wandb: 'mine' needs the package wandb, which is not installed"):
            RunLog(tmp_path, LogConfig(wandb="mine"), is_main, 10)


def test_table():
    rows = [{"name": "largest", "params": 1234567, "top1": 71.5}, {"name": "a", "top1": 6.0, "loss": 0.5}]
    assert table(rows).splitlines() == [
        "name        params   top1    loss",
        "largest  1,234,567  71.50       -",
        "a                -   6.00  0.5000",
    ]
    assert table([]) == ""


def test_environment():
    found = environment()
    assert json.loads(json.dumps(found)) == found
    assert found["torch"] == torch.__version__
    assert found["slimformer"].count(".") == 2
    assert found["git_commit"] is None or len(found["git_commit"]) == 40
    assert os.uname().nodename not in json.dumps(found)
