"""A network that is retrained: killed and continued, it ends with the same bits; two processes give what one gives."""

import os
import random
import subprocess

import pytest
import torch
import yaml

from supernet import load_space, save_spec
from tests.forks import PYTHON, executable
from tests.test_resuming import ROOT, compare, run, same
from training.checkpoint import load_latest
from training.network_folder import load_network
from training.run_folder import checkpoints

# All that remembers, or that draws: averages, moments, mixing, sizes, a loss of the average, drop path that grows.
RUN = {
    "data": {"source": "digits", "batch_size": 32, "held_out": 1000},
    "augment": {
        "crop": "pad",
        "mixup": 0.2,
        "cutmix": 0.5,
        "erase": 0.2,
        "randaugment": "rand-m5-n1",
        "mean": [0.3, 0.3, 0.3],
        "std": [0.35, 0.35, 0.35],
    },
    "step": {
        "drop_path": 0.2,
        "drop_path_grows": True,
        "dropout": 0.1,
        "resolutions": [16, 24],
        "mesa": {"start": 0.5},
    },
    "optimizer": {"lr": 4e-3, "accumulate": 2},
    "schedule": {"epochs": 2, "warmup_epochs": 1, "cooldown_epochs": 1},
    "ema": 0.9,
    "layer_decay": 0.8,
    "evaluate": {"every": 2, "images": 64, "calibration_images": 64},
    "precision": {"threads": 1, "deterministic": True, "device": "cpu"},
    "checkpoint": {"steps": 2},
    "log": {"every": 1, "tensorboard": False},
}


def config_in(folder, **changes):
    save_spec(load_space("tiny").sample(random.Random(3)), folder / "spec.yaml")
    path = folder / "run.yaml"
    path.write_text(f"spec: {folder / 'spec.yaml'}\n" + yaml.safe_dump(RUN | changes))
    return path


@pytest.mark.slow
def test_killed_and_continued(tmp_path):
    config = config_in(tmp_path)
    left_alone = run(tmp_path / "alone", [], config=config)
    assert left_alone.returncode == 0, left_alone.stderr
    rng = random.Random(0)
    killed = run(tmp_path / "killed", [], [1, *(rng.randrange(2, 12) for _ in range(3))], config=config)
    assert killed.returncode == 0, killed.stderr
    compare(tmp_path / "alone", tmp_path / "killed", 18)
    nets = [load_network(tmp_path / name).state_dict() for name in ("alone", "killed")]
    assert same(dict(nets[0]), dict(nets[1]))
    assert (tmp_path / "alone" / "results.json").read_text() == (tmp_path / "killed" / "results.json").read_text()


@pytest.mark.slow
def test_two_processes_killed_and_continued(tmp_path):
    """Batch norms of their own, which have seen different images."""
    config = config_in(tmp_path, schedule={"epochs": 2, "warmup_epochs": 1})
    options = ["data.batch_size=16"]
    left_alone = run(tmp_path / "alone", options, world=2, config=config)
    assert left_alone.returncode == 0, left_alone.stderr
    killed = run(tmp_path / "killed", options, [1, 14], world=2, config=config)
    assert killed.returncode == 0, killed.stderr
    compare(tmp_path / "alone", tmp_path / "killed", 12)


@pytest.mark.slow
def test_two_processes_give_what_one_gives(tmp_path):
    """With batch norms that are exchanged, and nothing drawn for a whole batch of one process."""
    plain = {"evaluate": {"images": 64}, "step": {}, "augment": {"crop": "none", "flip": 0}}
    plain["schedule"] = {"epochs": 2, "warmup_epochs": 1}
    config = config_in(tmp_path, **plain, sync_norm=True, optimizer={"name": "sgd", "lr": 0.02})
    one = run(tmp_path / "one", ["data.batch_size=64"], config=config)
    assert one.returncode == 0, one.stderr
    two = run(tmp_path / "two", ["data.batch_size=32"], world=2, config=config)
    assert two.returncode == 0, two.stderr
    first, second = (load_latest(checkpoints(tmp_path / name), expect={})[0] for name in ("one", "two"))
    assert first["step"] == second["step"] == 12
    for part in (lambda state: state["net"], lambda state: state["averaged"]["net"]):
        for name, tensor in part(first).items():
            torch.testing.assert_close(tensor, part(second)[name], atol=2e-5, rtol=1e-3, msg=name)


@pytest.mark.slow
def test_torchrun(tmp_path):
    """Of a front, whose networks the two processes train in turn."""
    front = tmp_path / "front"
    front.mkdir()
    for seed in range(2):
        save_spec(load_space("tiny").sample(random.Random(seed)), front / f"{seed}.yaml")
    few = ["data.batch_size=16", "data.held_out=1300", "schedule.epochs=1", "schedule.warmup_epochs=0"]
    command = [*PYTHON, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "retrain.py"]
    command += ["--front", str(front), "--recipe", "digits", "--out", str(tmp_path / "trained")]
    command += [part for one in (*few, "evaluate.images=40", "precision.device=cpu") for part in ("--set", one)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHON_EXEC": executable(tmp_path)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("2 processes on cpu") == 2
    for seed in range(2):
        assert load_network(tmp_path / "trained" / str(seed)).num_classes == 10
    assert (tmp_path / "trained" / "front.csv").read_text().count("\n") == 3
