"""Processes talk to each other, and none waits for ever for one that is gone."""

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from supernet import SpecError
from tests.forks import PYTHON, executable
from training.config import PrecisionConfig
from training.processes import Processes, ProcessesError, device_for, first_node, processes

ROOT = Path(__file__).parents[1]
CPU = PrecisionConfig(device="cpu")
LAUNCHERS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")

TALK = """
import json, sys, torch
from training.config import PrecisionConfig
from training.processes import processes
with processes(PrecisionConfig(device="cpu"), timeout_s=60) as us:
    said = {
        "place": [us.rank, us.world, us.local_rank, us.is_main, us.device.type],
        "sum": us.sum_(torch.tensor([1.0 + us.rank, 10.0], dtype=torch.float64)).tolist(),
        "totals": us.totals([us.rank, 0.1]),
        "mean": us.mean([us.rank, 2**40 + us.rank]),
        "gather": us.gather({"rank": us.rank}),
        "broadcast": us.broadcast(["from", us.rank]),
        "any": [us.any(us.rank == 1), us.any(False)],
    }
    us.barrier()
    open(f"{sys.argv[1]}/{us.rank}.json", "w").write(json.dumps(said))
assert not torch.distributed.is_initialized()
"""

LOSE = """
import os, signal, sys, torch
from training.config import PrecisionConfig
from training.processes import processes, ProcessesError
with processes(PrecisionConfig(device="cpu"), timeout_s=float(sys.argv[2])) as us:
    us.barrier()
    if us.rank == 1:
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))
    try:
        us.sum_(torch.ones(3))
    except ProcessesError as error:
        print(error, flush=True)
        os._exit(7)
"""


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _start(code, *args, **variables):
    clean = {name: value for name, value in os.environ.items() if name not in LAUNCHERS and "SLURM" not in name}
    env = clean | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | {k: str(v) for k, v in variables.items()}
    command = [*PYTHON, "-c", code, *map(str, args)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _check_talk(folder):
    for rank in range(2):
        said = json.loads((folder / f"{rank}.json").read_text())
        assert said == {
            "place": [rank, 2, rank, rank == 0, "cpu"],
            "sum": [3.0, 20.0],
            "totals": [1.0, 0.2],
            "mean": [0.5, 2**40 + 0.5],
            "gather": [{"rank": 0}, {"rank": 1}],
            "broadcast": ["from", 0],
            "any": [True, False],
        }


def test_one_process(monkeypatch):
    for name in LAUNCHERS:
        monkeypatch.delenv(name, raising=False)
    with processes(CPU) as us:
        assert us == Processes(0, 1, 0, torch.device("cpu"))
        assert us.is_main
        assert us.sum_(torch.tensor([2.0])).tolist() == [2.0]
        assert us.totals([1, 2]) == us.mean([1, 2]) == [1, 2]
        assert us.gather("x") == ["x"]
        assert us.broadcast("x") == "x"
        assert us.any(True)
        assert not us.any(False)
        us.barrier()
        assert not dist.is_initialized()


def test_torchrun(tmp_path):
    script = tmp_path / "talk.py"
    script.write_text(TALK)
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script), str(tmp_path)]
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHON_EXEC": executable(tmp_path)}
    done = subprocess.run([*PYTHON, *command], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    _check_talk(tmp_path)


def test_srun(tmp_path):
    """The variables that srun sets, on one computer."""
    both = {"SLURM_NTASKS": 2, "SLURM_STEP_ID": 0, "SLURM_JOB_ID": 1, "SLURM_STEP_NODELIST": "localhost"}
    both["MASTER_PORT"] = _free_port()
    started = [_start(TALK, tmp_path, SLURM_PROCID=rank, SLURM_LOCALID=rank, **both) for rank in range(2)]
    outputs = [process.communicate(timeout=120)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], outputs
    _check_talk(tmp_path)


@pytest.mark.parametrize(
    ("how", "timeout_s"),
    [("SIGKILL", 300), pytest.param("SIGSTOP", 8, marks=pytest.mark.slow)],
)
def test_a_lost_process_ends_the_others(how, timeout_s):
    """A dead one is noticed at once, one that hangs after the time-out."""
    both = {"WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port()}
    started = [_start(LOSE, how, timeout_s, RANK=rank, LOCAL_RANK=rank, **both) for rank in range(2)]
    try:
        output, _ = started[0].communicate(timeout=60)
    finally:
        for process in started:
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert started[0].returncode == 7, output
    assert "process 0 of 2, adding up tensors: another one has ended or hangs" in output


def test_a_process_that_never_comes(monkeypatch):
    variables = {"RANK": 0, "WORLD_SIZE": 2, "LOCAL_RANK": 0, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port()}
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))
    with pytest.raises(ProcessesError, match=r"process 0 of 2: they didn't come together at 127.* within 2 s"):
        processes(CPU, timeout_s=2).__enter__()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"RANK": 0, "WORLD_SIZE": 2}, "RANK, WORLD_SIZE set, but not LOCAL_RANK: torchrun sets all"),
        ({"RANK": 0, "WORLD_SIZE": 2, "LOCAL_RANK": 0, "MASTER_ADDR": "x"}, "but not MASTER_PORT: torchrun sets all"),
        ({"RANK": 2, "WORLD_SIZE": 2, "LOCAL_RANK": 0}, "RANK=2 is not a number from 0 to 1, as WORLD_SIZE=2"),
        ({"RANK": "a", "WORLD_SIZE": 2, "LOCAL_RANK": 0}, "RANK='a', WORLD_SIZE='2', .* not whole numbers"),
        ({"SLURM_PROCID": 0, "SLURM_NTASKS": 2, "SLURM_STEP_ID": 0}, "but not SLURM_LOCALID: srun sets all"),
    ],
)
def test_incomplete_variables(variables, message, monkeypatch):
    for name in LAUNCHERS:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))
    with pytest.raises(ProcessesError, match=message):
        processes(CPU).__enter__()


def test_inside_a_slurm_job_but_not_by_srun(monkeypatch, caplog):
    for name in LAUNCHERS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("SLURM_STEP_ID", raising=False)
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("SLURM_NTASKS", "8")
    with processes(CPU) as us:
        assert us.world == 1
    assert "not started by srun" in caplog.text


def test_a_group_that_exists_is_used_and_left(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        with processes(CPU) as us:
            assert (us.rank, us.world) == (0, 1)
        assert dist.is_initialized()
    finally:
        dist.destroy_process_group()


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a computer without a GPU")
def test_no_gpu():
    with pytest.raises(SpecError, match=r"^precision.device: 'cuda' is not here"):
        device_for(PrecisionConfig(device="cuda"), 0)
    assert device_for(PrecisionConfig(), 0).type == "cpu"


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("a", "a"),
        ("a-1,b", "a-1"),
        ("gpu[003-005,9],x", "gpu003"),
        ("n[7]", "n7"),
        ("r[1-2]n[03,4]", "r1n03"),
        ("", ""),
    ],
)
def test_first_node(nodes, first):
    assert first_node(nodes) == first
