"""What `search.py` does, from the config to the files of the results."""

from __future__ import annotations

import contextlib
import dataclasses
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
from supernet.values import counted, printable
from supernet.whole_files import write_whole
from training.environment import environment

from .accuracy import Task, fingerprint, make_judge
from .config import SearchConfig
from .costs import show
from .driver import Search
from .feasible import Feasible
from .finding import findings
from .halving import shares
from .methods import make_method
from .problem import Problem, is_maximised
from .progress import watching
from .reading import format_config, load_config
from .results import Findings, write_networks, write_results
from .setting import make_problem
from .storage import Records, file_url, open_study
from .workers import Evaluator, Here, OnRay

STUDY = "search"


def search_command(path: str, overrides: Sequence[str], out: Path) -> int:
    config = load_config(path, overrides)
    problem = make_problem(config)
    Feasible(problem).check(np.random.default_rng(config.seed))
    _make_folder(out)
    with _stopping(), contextlib.ExitStack() as opened:
        search = _open(config, problem, out, opened)
        _write_setting(out, config, problem)
        print(_about(search, config), flush=True)
        try:
            with watching(search, sys.stderr):
                search.run()
        except KeyboardInterrupt:
            write_results(findings(search, config, is_finished=False), out)
            print(f"stopped; what was found until now is in {printable(str(out))}, and the same command goes on")
            return 130
        found = findings(search, config, is_finished=True)
        write_results(found, out)
        print(_summary(search, found, out), flush=True)
    return _compare(problem, config, found, out)


def _open(config: SearchConfig, problem: Problem, out: Path, opened: contextlib.ExitStack) -> Search:
    """What may be wrong is found out before there is a study."""
    method = make_method(config, problem, _say_progress)
    directions = ["maximize" if is_maximised(metric) else "minimize" for metric in problem.objectives]
    url = config.storage or file_url(out / "study.db")
    judged_by = fingerprint(config.supernet, problem.space, config.accuracy)
    asked_by = f"{config.method.kind_name()}, seed {config.seed}"

    def study(share: float) -> Records:
        name = STUDY if share == 1 else f"{STUDY} on {share:g} of the images"
        return opened.enter_context(open_study(url, name, directions, problem.objectives, judged_by, asked_by=asked_by))

    *early, _ = shares(config.accuracy.halving)
    records = study(1.0)
    evaluator: Evaluator[Task] = opened.enter_context(_workers(config))
    search = Search(
        problem,
        method,
        records,
        evaluator,
        config.evaluations,
        images=config.accuracy.images,
        workers=config.workers.number if config.workers.where == "ray" else 1,
        early=[(share, study(share)) for share in early],
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
        return OnRay(make, one.number, one.cpus, one.gpus, one.address, config.accuracy.at_once)
    return Here(make(), config.accuracy.at_once)


def _make_folder(out: Path) -> None:
    """What lies there must be of a search, as this one would write over it."""
    if out.exists() and not out.is_dir():
        raise SpecError("--out", f"{printable(str(out))} is a file; a search is a folder")
    with _writing(out):
        out.mkdir(parents=True, exist_ok=True)
        others = [path for path in out.iterdir() if not path.name.startswith((".", "study.db"))]
    if not others:
        return
    try:
        load_config(out / "config.yaml")
    except SpecError:
        raise SpecError(
            "--out", f"{printable(str(out))} holds something else than a search; name a folder that is not there yet"
        ) from None


def _write_setting(out: Path, config: SearchConfig, problem: Problem) -> None:
    with _writing(out):
        write_whole(out / "config.yaml", format_config(config))  # the first: it says what the folder is
        save_space(problem.space, out / "space.yaml")
        write_whole(out / "environment.json", json.dumps(environment(), indent=1) + "\n")


@contextlib.contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
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


def _summary(search: Search, found: Findings, out: Path) -> str:
    number, known = len(found.rows), len(search.records.known())
    lines = [f"{counted(number, 'network')} evaluated, {len(found.front()):,} on the front, in {printable(str(out))}"]
    if search.done < search.evaluations:
        lines.append(f"the method has no further networks than these, of {search.evaluations:,} evaluations")
    if known > number:
        others = counted(known - number, "other evaluation")
        lines.append(f"{others} of the study, for another method or seed: --set whole_study=true shows them, too")
    best = found.best_row()
    if best is None:
        lines.append(found.best_reason)
    else:
        words = (f"{metric} {show(metric, best.value(metric))}" for metric in found.all_metrics)
        lines.append(f"best: {', '.join(words)}")
        lines.append(f"      {printable(str(out / 'best.yaml'))}; look at {printable(str(out / 'report.html'))}")
    return "\n".join(lines)


def _compare(problem: Problem, config: SearchConfig, found: Findings, out: Path) -> int:
    """The best network is measured. What was found is written already, whatever happens here."""
    from .measured import measured_best

    best = found.best_row()
    if not config.measure or best is None:
        return 0
    print(f"measuring the best network on {config.measure} ...", flush=True)
    try:
        with torch.random.fork_rng(devices=[]):
            one = measured_best(problem, config.measure, best, out)
    except KeyboardInterrupt:
        print("stopped; the best network was not measured, and the same command does it")
        return 130
    write_results(dataclasses.replace(found, comparisons=(one,)), out)
    off = one.predicted / one.measured - 1
    print(f"measured {show(one.metric, one.measured)}, predicted {show(one.metric, one.predicted)} ({off:+.1%})")
    return 0


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
