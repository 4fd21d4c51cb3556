"""Starting a run where its config wants it: here, on a Ray cluster, or as a Slurm job. The run itself is the same.

Computers of a cluster see the project, the data and the run's directory under the same absolute paths.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from supernet.values import OWN_FILES

from .config import RunConfig

Body = Callable[[RunConfig, Path], None]

PROJECT = Path(__file__).resolve().parents[1]


def launch(config: RunConfig, out: Path, body: Body) -> None:
    """Calls `body(config, out)` in every process of the run, and returns when all have ended.

    Paths are made absolute first. An error of the body is raised here, and ProcessesError where processes are lost for
    good. A body that is started again, after a lost process or a time limit, continues from its checkpoint in `out`.
    """
    config, out = config.with_absolute_paths(), out.expanduser().absolute()
    if config.processes.launcher == "ray":
        from .on_ray import run_on_ray

        run_on_ray(config, out, body)
    elif config.processes.launcher == "slurm":
        from .on_slurm import run_on_slurm

        run_on_slurm(config, out, body)
    else:
        body(config, out)


def worker_environment() -> dict[str, str]:
    """What processes of a running cluster, which don't have ours, need: this project, and the user's own blocks."""
    own = os.environ.get(OWN_FILES)
    return {"PYTHONPATH": python_path()} | ({OWN_FILES: own} if own else {})


def python_path() -> str:
    """PYTHONPATH for processes elsewhere, so that they import this project."""
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join(dict.fromkeys([str(PROJECT), *filter(None, known)]))
