"""Several networks at the same time, each as a task of a Ray cluster: this computer's, or one that runs already."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from supernet.values import SpecError, UserError, first_line, printable
from training.launching import worker_environment
from training.network_config import NetworkConfig
from training.on_ray import resources_of
from training.ray_cluster import join

ATTEMPTS = 3
"""For a network whose process dies: it goes on from its checkpoint."""


def train_side_by_side(runs: Sequence[tuple[NetworkConfig, Path]], at_once: int) -> dict[Path, str]:
    """Each of `processes.cpus` and `processes.gpus`. What failed, and why."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise SpecError("--at-once", f"needs the package ray: {first_line(error)}") from None
    started = not ray.is_initialized()
    if started:
        join(ray, "--at-once", log_to_driver=False, runtime_env={"env_vars": worker_environment()})
    try:
        return _train(ray, runs, at_once)
    finally:
        if started:
            ray.shutdown()


def _train(ray: Any, runs: Sequence[tuple[NetworkConfig, Path]], at_once: int) -> dict[Path, str]:
    waiting, done = list(runs), 0
    failed: dict[Path, str] = {}
    running: dict[Any, Path] = {}
    while waiting or running:
        while waiting and len(running) < at_once:
            config, out = waiting.pop(0)
            running[_task(ray, config, out)] = out
        (answer,), _ = ray.wait(list(running), num_returns=1)
        out = running.pop(answer)
        try:
            ray.get(answer)
        except ray.exceptions.RayTaskError as error:
            cause = error.cause if isinstance(error.cause, UserError) else error
            failed[out] = first_line(cause)
        except ray.exceptions.RayError as error:
            failed[out] = f"its process was lost: {first_line(error)}"
        done += 1
        print(f"{done} of {len(runs)} are done: {printable(out.name)}", flush=True)
    return failed


def _task(ray: Any, config: NetworkConfig, out: Path) -> Any:
    needs = resources_of(config, ray.cluster_resources())
    options = {"num_cpus": needs["CPU"], "num_gpus": needs.get("GPU", 0)}
    remote = ray.remote(_run).options(max_retries=ATTEMPTS, **options)
    return remote.remote(config.with_absolute_paths(), out.expanduser().absolute())


def _run(config: NetworkConfig, out: Path) -> None:
    from training.loop import train

    train(config, out)
