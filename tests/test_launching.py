"""The same run wherever it is started: here, on a real Ray cluster on this computer, and through submitit."""

import os
import signal
import stat
import subprocess
import sys

import msgspec
import pytest

from supernet import SpecError
from training.launching import PROJECT, launch
from training.on_slurm import run_on_slurm, submit
from training.processes import ProcessesError
from training.reading import parse_config
from training.supernet_config import SupernetConfig

TWO = ["precision.device=cpu", "processes.count=2", "processes.cpus=1", "processes.gpus=0"]


def _config(*overrides):
    return parse_config("space: tiny\ndata: {source: digits}", overrides)


def _talking_body(dies_once=False):
    """Functions inside a function travel by value: a test module is on nobody's path."""

    def body(config, out):
        import json
        import os
        import signal

        from training.processes import processes

        with processes(config.precision) as us:
            us.barrier()
            mark = out / "killed"
            if dies_once and us.rank == 1 and not mark.exists():
                mark.write_text("")
                os.kill(os.getpid(), signal.SIGKILL)
            said = {"totals": us.totals([us.rank + 1.0, 0.1]), "gather": us.gather(us.rank), "seed": config.seed}
            out.mkdir(parents=True, exist_ok=True)
            (out / f"{us.rank}.json").write_text(json.dumps(said))

    return body


def _check_talk(out):
    texts = [(out / f"{rank}.json").read_text() for rank in range(2)]
    assert texts == ['{"totals": [3.0, 0.2], "gather": [0, 1], "seed": 5}'] * 2


def test_here(tmp_path):
    calls = []
    launch(_config(), tmp_path, lambda *args: calls.append(args))
    assert calls == [(_config(), tmp_path)]


def test_paths_are_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/somewhere")
    names = ["space=iformer", "init_spec=iformer_t"]
    paths = ["data.path=data/x", "init=a.pt", "step.teacher.model=regnety_160", "step.teacher.weights=~/b.pt"]
    config = _config(*names, *paths).with_absolute_paths()
    assert (config.space, config.init_spec, config.step.teacher.model) == ("iformer", "iformer_t", "regnety_160")
    assert (config.data.path, config.init) == (f"{tmp_path}/data/x", f"{tmp_path}/a.pt")
    assert config.step.teacher.weights == "/somewhere/b.pt"
    files = _config("space=mine.yaml", "init_spec=specs/a").with_absolute_paths()
    assert (files.space, files.init_spec) == (f"{tmp_path}/mine.yaml", f"{tmp_path}/specs/a")
    assert config.with_absolute_paths() == config
    assert _config().with_absolute_paths() == _config()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["processes.count=3", "processes.nodes=2"], "processes.count: 3 processes can't be shared evenly by 2 nodes"),
        (["processes.count=3", "processes.gpus=0.5"], "processes.gpus: 0.5 for each of 3 processes is no whole number"),
    ],
)
def test_what_slurm_cannot_do(overrides, message, tmp_path):
    with pytest.raises(SpecError, match=f"^{message}"):
        submit(_config(*overrides), tmp_path, _talking_body(), "local")


def test_no_slurm_here(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SpecError, match=r"^processes.launcher: 'slurm': sbatch is not here"):
        launch(_config("processes.launcher=slurm"), tmp_path, _talking_body())


def test_what_is_asked_of_slurm(tmp_path, monkeypatch):
    """The batch file as Slurm gets it: submission itself needs a cluster."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in ("sbatch", "srun"):
        (commands / name).write_text(
            f'#!/bin/sh\nprintenv PYTHONPATH > {tmp_path}/path\necho "Submitted batch job 77"\n'
        )
        (commands / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    wanted = ["count=8", "nodes=2", "cpus=6", "gpus=1", "partition=fast", "minutes=90"]
    job = submit(_config(*(f"processes.{value}" for value in wanted)), tmp_path / "my_run", _talking_body())
    assert job.job_id == "77"
    script = next((tmp_path / "my_run/slurm").glob("*.sh"))
    lines = script.read_text().splitlines()
    for flag in (
        "nodes=2",
        "ntasks-per-node=4",
        "cpus-per-task=6",
        "gpus-per-node=4",
        "partition=fast",
        "time=90",
        "job-name=my_run",
        "signal=USR2@180",
        "requeue",
        "open-mode=append",
    ):
        assert f"#SBATCH --{flag}" in lines
    assert any(line.startswith("srun ") and "--cpus-per-task=6" in line for line in lines)
    assert (tmp_path / "path").read_text().startswith(str(PROJECT))


@pytest.mark.slow
def test_submitit(tmp_path):
    """A real job of two tasks, on this computer. Every task gets the signal before the end of its time: the loop saves,
    and the job starts once more."""
    talk = _talking_body()

    def body(config, out):
        import os
        import signal

        from training.processes import processes
        from training.stopping import stop_on_signals

        with processes(config.precision) as us, stop_on_signals() as stop:
            saved = out / f"saved{us.rank}"
            first = not saved.exists()
            if first:
                os.kill(os.getpid(), signal.SIGUSR2)
            assert us.any(stop.requested is not None) == first
            saved.write_text("saved" if first else "finished")
            us.barrier()
        if not first:
            talk(config, out)

    run_on_slurm(_config("seed=5", *TWO), tmp_path, body, "local")
    _check_talk(tmp_path)
    assert [(tmp_path / f"saved{rank}").read_text() for rank in range(2)] == ["finished"] * 2


@pytest.mark.slow
def test_an_error_in_a_job_is_raised_here(tmp_path):
    def body(config, out):
        from training.processes import processes

        with processes(config.precision) as us:
            us.barrier()
            if us.rank == 1:
                raise ValueError("no such space")
            us.barrier()

    with pytest.raises(ProcessesError, match=r"job \d+ failed, see .*/slurm: ValueError: no such space"):
        run_on_slurm(_config(*TWO), tmp_path, body, "local")


@pytest.fixture(scope="module")
def ray_cluster():
    import ray

    ray.init(num_cpus=2, include_dashboard=False)
    yield
    ray.shutdown()


def test_more_than_the_cluster_has(tmp_path):
    from training.on_ray import resources_of

    with pytest.raises(SpecError, match=r"^processes.cpus: 2 processes with 4 each need 8 CPUs; Ray has 2"):
        resources_of(_config("processes.count=2"), {"CPU": 2.0})
    assert resources_of(_config("processes.cpus=1"), {"CPU": 2.0}) == {"CPU": 1.0}
    assert resources_of(_config("processes.cpus=1"), {"CPU": 2.0, "GPU": 1.0}) == {"CPU": 1.0, "GPU": 1.0}
    with pytest.raises(SpecError, match=r"^processes.gpus: 1 processes with 1 each need 1 GPUs"):
        resources_of(_config("processes.cpus=1", "precision.device=cuda"), {"CPU": 2.0})
    with pytest.raises(SpecError, match=r"^processes.gpus: 0.5 of a GPU: several processes need a whole one each"):
        resources_of(_config("processes.count=2", "processes.gpus=0.5"), {"CPU": 8.0, "GPU": 1.0})


@pytest.mark.slow
def test_ray_starts_again_after_a_lost_worker_but_not_after_an_error(tmp_path, ray_cluster):
    """An error is raised here, as it was: what a user wrote wrong stays wrong when it is tried again."""
    talk = _talking_body(dies_once=True)

    def body(config, out):
        import os

        from supernet import SpecError

        with (out / f"starts{os.environ['RANK']}").open("a") as starts:
            starts.write("x")
        talk(config, out)
        raise SpecError("space", "'tiny' is unknown")

    with pytest.raises(SpecError, match=r"^space: 'tiny' is unknown$"):
        launch(_config("seed=5", "processes.launcher=ray", "processes.restarts=3", *TWO), tmp_path, body)
    assert (tmp_path / "killed").exists()
    _check_talk(tmp_path)
    assert [(tmp_path / f"starts{rank}").read_text() for rank in range(2)] == ["xx"] * 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, "Ray's own is left behind"


def test_what_is_heavy_is_imported_where_it_is_used():
    modules = [
        "checkpoint",
        "environment",
        "launching",
        "log",
        "on_ray",
        "on_slurm",
        "processes",
        "reading",
        "stopping",
    ]
    code = "import sys, " + ", ".join(f"training.{module}" for module in modules)
    code += "; print({'ray', 'submitit', 'tensorboard', 'wandb', 'rich', 'pandas', 'pyarrow'} & set(sys.modules))"
    env = os.environ | {"PYTHONPATH": str(PROJECT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_config_travels():
    import pickle

    config = _config("step.teacher.model=a", "phases=[{start: 0, elastic: [width]}]")
    assert pickle.loads(pickle.dumps(config)) == config  # noqa: S301
    assert isinstance(msgspec.structs.replace(config, seed=1), SupernetConfig)
