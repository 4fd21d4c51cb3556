"""A run as a Slurm job, by submitit: queued, started with srun, and queued again when its time limit comes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from supernet.values import SpecError

from .config import ProcessesConfig, RunConfig
from .launching import Body, python_path
from .processes import ProcessesError

SIGNAL_BEFORE_END_S = 180
"""So long before the time limit the job is told: a step and a checkpoint must fit in."""


def run_on_slurm(config: RunConfig, out: Path, body: Body, cluster: str = "slurm") -> None:
    """See `launch`. Waits for the job, which goes on if the waiting is interrupted.

    `cluster` is submitit's word: local runs the tasks on this computer, without Slurm.
    """
    job = submit(config, out, body, cluster)
    print(f"job {job.job_id} is in the queue; it writes to {job.paths.stdout}", flush=True)
    try:
        job.wait()
    except KeyboardInterrupt:
        print(f"job {job.job_id} goes on; `scancel {job.job_id}` ends it", flush=True)
        raise
    errors = [_raised(error) for task in range(job.num_tasks) if (error := job.task(task).exception())]
    if errors:
        first = next((error for error in errors if ProcessesError.__name__ not in error), errors[0])
        raise ProcessesError(f"job {job.job_id} failed, see {out / 'slurm'}: {first}")


def submit(config: RunConfig, out: Path, body: Body, cluster: str = "slurm") -> Any:
    """The job, in the queue: submitit's object for it."""
    if cluster == "slurm" and (shutil.which("sbatch") is None or shutil.which("srun") is None):
        raise SpecError(
            "processes.launcher", "'slurm': sbatch is not here; start where jobs are submitted, or with auto or ray"
        )
    try:
        import submitit
    except ImportError:
        raise SpecError("processes.launcher", "'slurm' needs the package submitit, which is not installed") from None
    wanted = config.processes
    per_node, gpus = _on_a_node(wanted, config.precision.device != "cpu")
    executor = submitit.AutoExecutor(out / "slurm", cluster=cluster, **{f"{cluster}_max_num_timeout": wanted.restarts})
    executor.update_parameters(
        name=out.name,
        nodes=wanted.nodes,
        tasks_per_node=per_node,
        cpus_per_task=wanted.cpus,
        gpus_per_node=gpus or None,
        timeout_min=wanted.minutes,
        stderr_to_stdout=True,
        slurm_partition=wanted.partition or None,
        slurm_signal_delay_s=SIGNAL_BEFORE_END_S,
        slurm_srun_args=[f"--cpus-per-task={wanted.cpus}"],  # since Slurm 22.05 srun doesn't take it from sbatch
        slurm_additional_parameters={"requeue": True},
    )
    with _environment(PYTHONPATH=python_path()):  # jobs get the environment they are submitted from
        return executor.submit(_Job(config, out, body))


@dataclass(frozen=True)
class _Job:
    config: RunConfig
    out: Path
    body: Body

    def __call__(self) -> None:
        """One task of the job."""
        from submitit.helpers import TorchDistributedEnvironment

        TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
        _leave_no_result_when_queued_again()
        self.body(self.config, self.out)

    def checkpoint(self) -> Any:
        """What submitit queues again: the same, as the body continues from its own checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _leave_no_result_when_queued_again() -> None:
    """At the signal before the end, submitit in task 0 queues the job again and exits; the other tasks must end too.

    If they returned, their results would stand as those of a finished job. The loop has written its checkpoint by then:
    `stop_on_signals` holds the signal back so long.
    """
    queue_again = signal.getsignal(signal.SIGUSR2)
    if not callable(queue_again):
        return

    def handle(number: int, frame: FrameType | None) -> None:
        queue_again(number, frame)
        sys.exit(0)

    signal.signal(signal.SIGUSR2, handle)


def _on_a_node(wanted: ProcessesConfig, may_use_gpus: bool) -> tuple[int, int]:
    """Processes and GPUs of each node."""
    per_node, rest = divmod(wanted.count, wanted.nodes)
    if rest or not per_node:
        raise SpecError("processes.count", f"{wanted.count} processes can't be shared evenly by {wanted.nodes} nodes")
    gpus = wanted.gpus * per_node if may_use_gpus else 0.0
    if gpus != int(gpus):
        raise SpecError(
            "processes.gpus", f"{wanted.gpus:g} for each of {per_node} processes is no whole number on a node"
        )
    return per_node, int(gpus)


@contextlib.contextmanager
def _environment(**variables: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _raised(error: BaseException) -> str:
    """The last line of the traceback that stands, between dashes, in submitit's error."""
    parts = str(error).split("-" * 20)
    lines = [line.strip(" -") for line in parts[min(1, len(parts) - 1)].splitlines()]
    return next((line for line in reversed(lines) if line), type(error).__name__)
