"""A run on a Ray cluster, by Ray Train: the one that RAY_ADDRESS names or that runs here, else one on this computer."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from supernet.values import SpecError

from .config import RunConfig
from .launching import Body, worker_environment
from .processes import TIMEOUT_S, ProcessesError
from .ray_cluster import join

logger = logging.getLogger("training")


def run_on_ray(config: RunConfig, out: Path, body: Body) -> None:
    """See `launch`. When a worker is lost all start again, at most `processes.restarts` times."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a run reports to nobody unless its user wants that
    try:
        import ray
        from ray.train import TrainingFailedError
    except ImportError as error:
        raise SpecError("processes.launcher", f"'ray' needs the package ray[train]: {error}") from None
    started = not ray.is_initialized()
    if started:
        join(ray, "processes.launcher", runtime_env={"env_vars": worker_environment()})
    try:
        resources = resources_of(config, ray.cluster_resources())
        for restarts_left in range(config.processes.restarts, -1, -1):
            try:
                with _ctrl_c_as_before():
                    _trainer(config, out, body, resources).fit()
            except TrainingFailedError as error:
                cause = _cause(error)
                if not isinstance(cause, ProcessesError):
                    raise cause from error
                if not restarts_left:
                    raise cause from error
                logger.warning(
                    "%s; all start again from the last checkpoint, %d restarts left", cause, restarts_left - 1
                )
            else:
                return
    finally:
        if started:
            ray.shutdown()


def _trainer(config: RunConfig, out: Path, body: Body, resources: dict[str, float]) -> Any:
    from ray.train import RunConfig as RayRun
    from ray.train import ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer, get_device

    def work() -> None:
        import torch

        device = get_device()
        if device.type == "cuda":
            torch.cuda.set_device(device)
        body(config, out)

    use_gpu = resources.get("GPU", 0) > 0
    return TorchTrainer(
        work,
        torch_config=TorchConfig(backend="nccl" if use_gpu else "gloo", timeout_s=int(TIMEOUT_S)),
        scaling_config=ScalingConfig(
            num_workers=config.processes.count, use_gpu=use_gpu, resources_per_worker=dict(resources)
        ),
        run_config=RayRun(name="ray", storage_path=str(out), worker_runtime_env={"env_vars": worker_environment()}),
    )


def resources_of(config: RunConfig, cluster: dict[str, float]) -> dict[str, float]:
    """What each process asks for; a cluster that can't have it says so, since Ray would wait for it for ever."""
    wanted = config.processes
    needs = {"CPU": float(wanted.cpus)}
    if config.precision.device == "cuda" or (config.precision.device == "auto" and cluster.get("GPU", 0) > 0):
        if not wanted.gpus:
            raise SpecError("processes.gpus", "0 leaves no GPU for a process, though precision.device isn't cpu")
        if wanted.gpus < 1 < wanted.count:
            raise SpecError(
                "processes.gpus", f"{wanted.gpus:g} of a GPU: several processes need a whole one each, by NCCL"
            )
        needs["GPU"] = wanted.gpus
    for name, amount in needs.items():
        field = "processes.cpus" if name == "CPU" else "processes.gpus"
        has, all_of_them = cluster.get(name, 0), amount * wanted.count
        if all_of_them > has:
            raise SpecError(
                field,
                f"{wanted.count} processes with {amount:g} each need {all_of_them:g} {name}s; Ray has {has:g}",
            )
    return needs


@contextlib.contextmanager
def _ctrl_c_as_before() -> Iterator[None]:
    """Ray leaves a handler for Ctrl-C behind, which asks a controller that is gone."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


def _cause(error: Exception) -> Exception:
    """What the body raised, if that is all that happened; a lost worker makes the others fail too."""
    failures: dict[int, Exception] = getattr(error, "worker_failures", {})
    ours = [failure for failure in failures.values() if not type(failure).__module__.startswith("ray.")]
    own = [failure for failure in ours if not isinstance(failure, ProcessesError)]
    if own and len(ours) == len(failures):
        return own[0]
    shown = "; ".join(f"process {rank}: {_short(failure)}" for rank, failure in sorted(failures.items()))
    return ProcessesError(f"processes were lost on the Ray cluster: {shown or _short(error)}")


def _short(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
