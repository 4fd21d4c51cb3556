"""All networks of a front, one after the other or several at once, and what came of them beside what was predicted."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
from pathlib import Path
from typing import NamedTuple

import torch

from supernet import NetSpec, load_spec
from supernet.values import SpecError, UserError, counted, printable
from training.launching import launch
from training.loop import train
from training.network_config import NetworkConfig
from training.network_folder import read_network_setting, read_results
from training.processes import ProcessesError, processes
from training.recipes import with_recipe

from .command import check
from .findings import predictions, with_latencies
from .front_files import write_front
from .outcome import Outcome
from .side_by_side import train_side_by_side

logger = logging.getLogger("training")


class Job(NamedTuple):
    name: str
    file: Path
    config: NetworkConfig
    out: Path


def front_command(args: argparse.Namespace) -> int:
    files = network_files(args.front)
    if args.without is not None:
        files = others(files, args.without)
    if not files:
        if _is_main():
            print("the front has no other network")
        return 0
    files = chosen(files, args.most)
    jobs = [
        Job(file.stem, file, with_recipe(str(file), args.recipe, args.overrides), args.out / file.stem)
        for file in files
    ]
    for job in jobs:
        check(job.config, job.out)
    if args.at_once > 1:
        failed = train_side_by_side([(job.config, job.out) for job in jobs], args.at_once)
    else:
        failed = _train_in_turn(jobs)
    jobs = [job for job in jobs if job.out not in failed]
    if _is_main() and jobs:
        write_front(with_latencies(args.front, outcomes(args.front, jobs), args.out), args.out)
    if failed:
        words = "; ".join(f"{printable(out.name)}: {reason}" for out, reason in failed.items())
        raise UserError(f"{len(failed)} of {len(files)} failed; {words}")
    return 0


def _train_in_turn(jobs: list[Job]) -> dict[Path, str]:
    """What failed, and why: the others are trained. The processes that torchrun or srun started come together once, not
    for each network."""
    config, failed = jobs[0].config, {}
    together = processes(config.precision) if config.processes.launcher == "auto" else contextlib.nullcontext()
    with together as us:
        if us is not None and us.device.type == "cuda":
            torch.cuda.set_device(us.device)
        for number, job in enumerate(jobs, start=1):
            if _is_main():
                print(f"network {number} of {len(jobs)}: {printable(job.name)}", flush=True)
            try:
                launch(job.config, job.out, train)
            except ProcessesError:
                raise
            except UserError as error:
                logger.error("%s: %s", printable(job.name), error)
                failed[job.out] = str(error)
    return failed


def network_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise SpecError("--front", f"{printable(str(folder))} is no folder of networks")
    files = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    if not files:
        raise SpecError("--front", f"{printable(str(folder))} holds no network: no .yaml file is there")
    return files


def others(files: list[Path], known: Path) -> list[Path]:
    try:
        spec = load_spec(known)
    except SpecError as error:
        raise SpecError("--without", str(error)) from None
    return [file for file in files if load_spec(file) != spec]


def chosen(files: list[Path], most: int | None) -> list[Path]:
    """Spread over the front, both of its ends among them."""
    if most is None or most >= len(files):
        return files
    if most == 1:
        return files[:1]
    return [files[round(index * (len(files) - 1) / (most - 1))] for index in range(most)]


def outcomes(front: Path, jobs: list[Job]) -> list[Outcome]:
    known = predictions(front)
    found = []
    for job in jobs:
        results, spec = read_results(job.out), _spec(job.out)
        found.append(Outcome(job.name, spec, results, known.get(job.file.name, {})))
    print(f"{counted(len(found), 'network')} trained")
    return found


def _spec(run: Path) -> NetSpec:
    return read_network_setting(run)[1]


def _is_main() -> bool:
    """Of the processes that torchrun or srun started, the first one speaks."""
    return os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")) == "0"
