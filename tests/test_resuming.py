"""A run that is killed again and again ends with the weights of one that was left alone, bit by bit."""

import functools
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch

from tests.forks import PYTHON
from training.checkpoint import load_latest
from training.run_folder import checkpoints
from training.supernet_folder import load_supernet

ROOT = Path(__file__).parent.parent
# Everything that remembers: an adaptive sampler, averaged weights, moments, phases that sort, parts of a step, mixing.
OPTIONS = [
    "data.batch_size=32",
    "data.held_out=1000",
    "schedule.epochs=4",
    "schedule.warmup_epochs=1",
    "optimizer.accumulate=2",
    "step.sampling=adjacent",
    "step.strata=4",
    "step.drop_path=0.2",
    "step.dropout=0.1",
    "step.conflict=attention",
    "augment.mixup=0.2",
    "augment.cutmix=0.5",
    "augment.erase=0.2",
    "augment.randaugment=rand-m5-n1",
    "evaluate.every=2",
    "evaluate.random=0",
    "evaluate.images=64",
    "evaluate.calibration_images=64",
    "precision.threads=1",
    "precision.deterministic=true",
    "checkpoint.steps=2",
    "log.every=1",
]
DIGITS = ROOT / "configs" / "digits.yaml"
PHASES = (
    "phases=[{start: 0, elastic: [kernel, expand]}, {start: 2, elastic: [kernel, expand, width, depth], sort: true}]"
)


@functools.cache
def runs():
    """Ends with its input, as this process does."""
    command, environment = [*PYTHON, "-m", "tests.killed_runs"], {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes)


def run(folder, options, deaths=(), world=1, config=DIGITS):
    runs().stdin.write(json.dumps([str(folder), world, str(config), options, list(deaths)]) + "\n")
    runs().stdin.flush()
    status, said = json.loads(runs().stdout.readline())
    return subprocess.CompletedProcess("", status, stderr=said)


def same(first, second):
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


def log_of(folder):
    lines = [json.loads(line) for line in (folder / "log.jsonl").open()]
    return [{key: value for key, value in line.items() if key not in ("time", "images_per_second")} for line in lines]


def compare(alone, killed, steps):
    states = [load_latest(checkpoints(folder), expect={})[0] for folder in (alone, killed)]
    assert states[0]["step"] == steps
    assert states[0]["optimizer"]["state"]
    for key in states[0]:
        assert same(states[0][key], states[1][key]), key
    assert log_of(alone) == log_of(killed)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "alone"
    left_alone = run(folder, [*OPTIONS, PHASES])
    assert left_alone.returncode == 0, left_alone.stderr
    return folder


@pytest.mark.slow
def test_killed_and_continued(alone, tmp_path):
    rng = random.Random(0)
    deaths = [1, *(rng.randrange(2, 10) for _ in range(9))]  # parts of a step since the start; six steps an epoch
    killed = run(tmp_path / "killed", [*OPTIONS, PHASES], deaths)
    assert killed.returncode == 0, killed.stderr
    compare(alone, tmp_path / "killed", 24)


@pytest.mark.slow
def test_two_processes_killed_and_continued(tmp_path):
    few = [
        "data.held_out=1340",
        "schedule.epochs=2",
        "data.batch_size=16",
        "optimizer.accumulate=1",
    ]  # exchanging is slow
    options = [*OPTIONS, *few, "sync_norm=true", "precision.device=cpu"]
    left_alone = run(tmp_path / "alone", options, world=2)
    assert left_alone.returncode == 0, left_alone.stderr
    killed = run(tmp_path / "killed", options, [1, 4], world=2)
    assert killed.returncode == 0, killed.stderr
    compare(tmp_path / "alone", tmp_path / "killed", 6)


@pytest.mark.slow
def test_asked_to_stop_and_continued(alone, tmp_path):
    """The command itself: SIGTERM writes a checkpoint in the middle of an epoch, the same command goes on."""
    chosen = [option for option in (*OPTIONS, PHASES) if not option.startswith("checkpoint")]
    options = [part for option in chosen for part in ("--set", option)]
    command = [*PYTHON, "train_supernet.py", "configs/digits.yaml", "--out", str(tmp_path / "run"), *options]
    log = tmp_path / "run" / "log.jsonl"
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        deadline = time.monotonic() + 120
        while not (log.exists() and log.read_text().count("\n") >= 3):
            assert time.monotonic() < deadline, "no step in two minutes"
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[0]
    assert process.returncode == 130, said
    assert "the same command continues the run" in said
    state, path = load_latest(checkpoints(tmp_path / "run"), expect={})
    assert 3 <= state["step"] < 24, path
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert f"continued after step {state['step']}" in done.stdout
    for averaged in (True, False):
        nets = [load_supernet(folder, best=False, averaged=averaged) for folder in (tmp_path / "run", alone)]
        assert same(dict(nets[0].state_dict()), dict(nets[1].state_dict()))
