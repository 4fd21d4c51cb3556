"""What `search.py` does, from the config to the files of the results."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from supernet import SpecError, save_space
from supernet.values import counted, printable
from supernet.whole_files import write_whole
from training.environment import environment

from .accuracy import Task, fingerprint, make_judge, number_of_images
from .config import ImportanceConfig, SearchConfig, SlimmingConfig
from .costs import LATENCY, show
from .driver import Search
from .feasible import Feasible
from .finding import findings
from .halving import shares
from .methods import make_method
from .problem import ACCURACY, Problem, is_maximised
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
    _check_folder(out)
    with _stopping():
        with contextlib.ExitStack() as opened:
            search = _open(config, problem, out, opened)
            _write_setting(out, config, problem)
            print(_about(search, config), flush=True)
            try:
                with watching(search, sys.stderr):
                    search.run()
            except KeyboardInterrupt:
                return _stopped(search, config, out)
            found = _written(lambda: _ended(search, config, out), out)
            if found is None:
                return 130
            print(_summary(search, found, out), flush=True)
        return _compare(problem, config, found, out)


def _stopped(search: Search, config: SearchConfig, out: Path) -> int:
    where = printable(str(out))
    if not search.fresh and (out / "front.csv").exists():
        print(f"stopped before anything new was evaluated; what is in {where} is as it was. The same command goes on")
    elif _written(lambda: findings(search, config, is_finished=False), out):
        print(f"stopped; what was found until now is in {where}, and the same command goes on")
    return 130


def _written(make: Callable[[], Findings], out: Path) -> Findings | None:
    """None where somebody is in such a hurry that the results are not all there."""
    try:
        found = make()
        write_results(found, out)
    except KeyboardInterrupt:
        print(
            f"stopped while the results were written: in {printable(str(out))}, the front is as of some batch, and "
            "report.html and front.svg may be missing or older. The same command writes them"
        )
        return None
    return found


def _open(config: SearchConfig, problem: Problem, out: Path, opened: contextlib.ExitStack) -> Search:
    """What may be wrong is found out before there is a folder or a study, as far as it can be."""
    method = make_method(config, problem, _say_progress)
    directions = ["maximize" if is_maximised(metric) else "minimize" for metric in problem.objectives]
    url = config.storage or file_url(out / "study.db")
    judged_by = fingerprint(config.supernet, problem.space, config.accuracy)
    asked_by = f"{config.method.kind_name()}, seed {config.seed}"

    def study(share: float) -> Records:
        name = STUDY if share == 1 else f"{STUDY} on {share:g} of the images"
        return opened.enter_context(open_study(url, name, directions, problem.objectives, judged_by, asked_by=asked_by))

    *early, _ = shares(config.accuracy.halving)
    images = number_of_images(config.supernet, config.accuracy)
    evaluator: Evaluator[Task] = opened.enter_context(_workers(config))
    with _folder(out):
        records = study(1.0)
    search = Search(
        problem,
        method,
        records,
        evaluator,
        config.evaluations,
        images=images,
        workers=config.workers.number if config.workers.where == "ray" else 1,
        early=[(share, study(share)) for share in early],
    )
    search.after_batch = _writing_fronts(config, out)
    return search


def _writing_fronts(config: SearchConfig, out: Path) -> Callable[[Search], None]:
    """After a batch, unless that would take more than a tenth of the time: fronts of hundreds take a second."""
    earliest = 0.0

    def write(search: Search) -> None:
        nonlocal earliest
        began = time.monotonic()
        if began >= earliest:
            write_networks(findings(search, config, is_finished=False), out)
            now = time.monotonic()
            earliest = now + 9 * (now - began)

    return write


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


def _check_folder(out: Path) -> None:
    """What lies there must be of a search, as this one would write over it."""
    if out.exists() and not out.is_dir():
        raise SpecError("--out", f"{printable(str(out))} is a file; a search is a folder")
    with _writing(out):
        found = out.iterdir() if out.exists() else ()
        others = [path for path in found if not path.name.startswith((".", "study.db"))]
    if not others:
        return
    try:
        load_config(out / "config.yaml")
    except SpecError:
        raise SpecError(
            "--out", f"{printable(str(out))} holds something else than a search; name a folder that is not there yet"
        ) from None


@contextlib.contextmanager
def _folder(out: Path) -> Iterator[None]:
    """It is made for what happens in the block; where that comes to nothing, it is not left behind."""
    is_new = not out.exists()
    with _writing(out):
        out.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if is_new:
            with contextlib.suppress(OSError):  # something lies there
                out.rmdir()
        raise


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
    text = f"{config.method.kind_name()} over {_size(problem.space.size)} networks of {name}: {goals}{limits}{before}"
    if isinstance(config.method, SlimmingConfig | ImportanceConfig) and problem.objectives == (ACCURACY,):
        cost = (problem.costs.latencies or ["params"])[0]
        text += (
            "\nwith accuracy as the only objective the front is one network; for the whole way down, set "
            f"objectives=[{ACCURACY}, {cost}]"
        )
    return text


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


def _ended(search: Search, config: SearchConfig, out: Path) -> Findings:
    """With what an earlier start has measured, if the best network is still the same."""
    from .measured import measured_before

    found = findings(search, config, is_finished=True)
    best = found.best_row()
    if not config.measure or best is None or best.spec is None:
        return found
    before = measured_before(search.problem, config.measure, best.spec, best.value(LATENCY + config.measure), out)
    return found if before is None else dataclasses.replace(found, comparisons=(before,))


def _compare(problem: Problem, config: SearchConfig, found: Findings, out: Path) -> int:
    """The best network is measured. What was found is written already, whatever happens here."""
    from .measured import measured

    best = found.best_row()
    if not config.measure or best is None:
        return 0
    assert best.spec is not None
    print(f"measuring the best network on {config.measure} ...", flush=True)
    try:
        with torch.random.fork_rng(devices=[]):
            one = measured(problem, config.measure, best.spec, best.value(LATENCY + config.measure), out)
    except KeyboardInterrupt:
        print("stopped; the best network was not measured, and the same command does it")
        return 130
    off = one.predicted / one.measured - 1
    print(
        f"measured {show(one.metric, one.measured)}, predicted {show(one.metric, one.predicted)}: the prediction is "
        f"off by {off:+.1%}",
        flush=True,
    )
    return 0 if _written(lambda: dataclasses.replace(found, comparisons=(one,)), out) else 130


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
