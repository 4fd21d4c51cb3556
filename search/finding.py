"""From a search to its findings: what the results are written from."""

from __future__ import annotations

import functools
import shlex
import sys
from typing import Any

import numpy as np

from supernet.space.published import published_members
from training.environment import environment

from .config import SearchConfig
from .costs import LATENCY
from .driver import Search
from .problem import Problem
from .reading import format_config
from .results import Evaluated, Findings, Interval, Published
from .trail import Trail


def findings(search: Search, config: SearchConfig, is_finished: bool) -> Findings:
    trail, problem = search.whole_study() if config.whole_study else search.trail, search.problem
    front, best = trail.front(), trail.best()
    rows = []
    for index, code in enumerate(trail.codes):
        shown = is_finished or bool(front[index]) or index == best
        rows.append(
            Evaluated(
                index=index,
                code=tuple(code.tolist()),
                accuracy=float(trail.accuracy[index]),
                metrics={metric: float(trail.columns[metric][index]) for metric in problem.metrics},
                intervals=_intervals(problem, {m: float(trail.columns[m][index]) for m in problem.metrics}),
                on_front=bool(front[index]),
                feasible=bool(trail.feasible[index]),
                spec=search.spec(code) if shown else None,
            )
        )
    return Findings(
        space=problem.space.name or config.space or config.supernet,
        objectives=problem.objectives,
        constraints=problem.constraints,
        metrics=problem.metrics,
        rows=tuple(rows),
        best=best,
        best_reason=_reason(trail, best),
        command=shlex.join(["python", *sys.argv]) if sys.argv[0].endswith(".py") else "",
        config=format_config(config),
        seed=config.seed,
        seconds=search.seconds,
        method=config.method.kind_name() + (" with a predictor" if config.predictor is not None else ""),
        published=_published(search),
        history=tuple(search.history),
        versions=_versions(),
        is_finished=is_finished,
    )


def _intervals(problem: Problem, metrics: dict[str, float]) -> dict[str, Interval]:
    """As wide as the fit of each table says."""
    found = {}
    for name, table in problem.costs.tables.items():
        ms = metrics[LATENCY + name]
        low, high = table.interval(ms)
        found[LATENCY + name] = Interval(low, high)
    return found


def _reason(trail: Trail, best: int | None) -> str:
    problem = trail.problem
    limits = " and ".join(map(str, problem.constraints))
    if best is not None:
        return f"the most accurate of those with {limits}" if limits else "the most accurate"
    if not len(trail):
        return "nothing was evaluated"
    nearest = int(np.argmin(problem.excess(trail.columns)))
    return (
        f"no network that was evaluated keeps {limits}; number {nearest} comes nearest, with "
        f"{problem.in_words(trail.columns, nearest)}"
    )


def _published(search: Search) -> tuple[Published, ...]:
    members = published_members(search.problem.space)
    if not members:
        return ()
    codes = search.problem.codes.of(list(members.values()))
    columns = search.problem.columns(codes)
    known = search.records.known()
    found = []
    for index, (name, spec) in enumerate(members.items()):
        evaluated = known.get(codes[index].tobytes())
        metrics = {metric: float(columns[metric][index]) for metric in search.problem.metrics}
        found.append(Published(name, spec, metrics, None if evaluated is None else evaluated.accuracy))
    return tuple(found)


@functools.cache
def _versions() -> dict[str, Any]:
    """Asked once: git is, and findings are made after each batch."""
    return environment()
