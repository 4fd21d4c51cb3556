"""What `search.py` does, from the config to the files of the results."""

from __future__ import annotations

import contextlib
import functools
import json
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from supernet import SpecError, save_space
from supernet.values import printable
from supernet.whole_files import write_whole
from training.environment import environment

from .accuracy import Task, fingerprint, make_judge
from .config import SearchConfig
from .driver import Search
from .feasible import Feasible
from .finding import findings
from .halving import Halving
from .methods import make_method
from .problem import Problem, is_maximised
from .progress import watching
from .reading import format_config, load_config
from .results import Comparison, write_networks, write_results
from .setting import make_problem
from .storage import file_url, open_study
from .workers import Evaluator, Here, OnRay

STUDY = "search"


def search_command(path: str, overrides: Sequence[str], out: Path) -> int:
    config = load_config(path, overrides)
    problem = make_problem(config)
    Feasible(problem).check(np.random.default_rng(config.seed))
    _begin_folder(out, config, problem)
    with _stopping(), contextlib.ExitStack() as opened:
        search = _open(config, problem, out, opened)
        print(_about(search, config), flush=True)
        try:
            with watching(search, sys.stderr):
                search.run()
        except KeyboardInterrupt:
            write_results(findings(search, config, is_finished=False), out)
            print(f"stopped; what was found until now is in {printable(str(out))}, and the same command goes on")
            return 130
        write_results(findings(search, config, is_finished=True, comparisons=_compared(search, config, out)), out)
    print(_summary(search, out))
    return 0


def _open(config: SearchConfig, problem: Problem, out: Path, opened: contextlib.ExitStack) -> Search:
    directions = ["maximize" if is_maximised(metric) else "minimize" for metric in problem.objectives]
    url = config.storage or file_url(out / "study.db")
    records = opened.enter_context(
        open_study(
            url,
            STUDY,
            directions,
            problem.objectives,
            fingerprint(config.supernet, problem.space, config.accuracy),
            asked_by=f"{config.method.kind_name()}, seed {config.seed}",
        )
    )
    method = make_method(config, problem, _say_progress)
    evaluator: Evaluator[Task] = opened.enter_context(_workers(config))
    if config.accuracy.halving:
        evaluator = Halving(evaluator, config.accuracy.halving)
    search = Search(
        problem,
        method,
        records,
        evaluator,
        config.evaluations,
        images=config.accuracy.images,
        workers=config.workers.number if config.workers.where == "ray" else 1,
    )
    search.after_batch = lambda one: write_networks(findings(one, config, is_finished=False), out)
    return search


def _say_progress(done: int, total: int, text: str) -> None:
    """Of a method that learns first: ten lines are enough."""
    if done == total or done % max(1, total // 10) == 0:
        print(f"learning {done:,}/{total:,}  {text}", file=sys.stderr, flush=True)


def _workers(config: SearchConfig) -> Any:
    one = config.workers
    make = functools.partial(make_judge, config.supernet, config.accuracy)
    if one.where == "ray":
        return OnRay(make, one.number, one.cpus, one.gpus, one.address)
    return Here(make())


def _begin_folder(out: Path, config: SearchConfig, problem: Problem) -> None:
    if out.exists() and not out.is_dir():
        raise SpecError("--out", f"{printable(str(out))} is a file; a search is a folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
        save_space(problem.space, out / "space.yaml")
        write_whole(out / "config.yaml", format_config(config))
        write_whole(out / "environment.json", json.dumps(environment(), indent=1) + "\n")
    except OSError as error:
        raise SpecError("--out", f"{printable(str(out))} can't be written: {error.strerror}") from None


def _about(search: Search, config: SearchConfig) -> str:
    problem = search.problem
    goals = ", ".join(("most " if is_maximised(metric) else "least ") + metric for metric in problem.objectives)
    limits = f" with {' and '.join(map(str, problem.constraints))}" if problem.constraints else ""
    known = len(search.records.known())
    before = f"; {known:,} evaluations are there already" if known else ""
    name = problem.space.name or "the space"
    return f"{config.method.kind_name()} over {_size(problem.space.size)} networks of {name}: {goals}{limits}{before}"


def _size(number: int) -> str:
    return f"{number:,}" if number < 10**7 else f"10^{len(str(number)) - 1}"


def _summary(search: Search, out: Path) -> str:
    best, front = search.trail.best(), int(search.trail.front().sum())
    lines = [f"{len(search.trail):,} networks evaluated, {front:,} on the front, in {printable(str(out))}"]
    if best is None:
        lines.append("none keeps all constraints")
    else:
        lines.append(f"best: {search.problem.in_words(search.trail.columns, best)}")
        lines.append(f"      {printable(str(out / 'best.yaml'))}; look at {printable(str(out / 'report.html'))}")
    return "\n".join(lines)


def _compared(search: Search, config: SearchConfig, out: Path) -> tuple[Comparison, ...]:
    best = search.trail.best()
    if best is None or not config.measure:
        return ()
    from .measured import measured_best

    with torch.random.fork_rng(devices=[]):
        return (measured_best(search, config.measure, best, out),)


@contextlib.contextmanager
def _stopping() -> Iterator[None]:
    """A cluster's way to stop a job, SIGTERM, is as Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_: int, __: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
