"""The loop of a search: the method asks, networks are evaluated, the method is told; until the budget is spent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from supernet import NetSpec

from .accuracy import Task
from .codes import Array
from .methods import Method
from .problem import Problem
from .results import Batch
from .storage import Evaluation, Records, evaluate_shared
from .trail import Trail
from .workers import Evaluator


@dataclass
class Search:
    """`watch` is told after each evaluation, and `after_batch` after each batch, when there is a front to show."""

    problem: Problem
    method: Method
    records: Records
    evaluator: Evaluator[Task]
    evaluations: int
    images: int = 0
    workers: int = 1
    watch: Callable[[Search], None] = lambda search: None
    after_batch: Callable[[Search], None] = lambda search: None
    trail: Trail = field(init=False)
    history: list[Batch] = field(default_factory=list)
    done: int = 0
    """Networks evaluated so far, those of the batch that is under way included."""
    fresh: int = 0
    """Of these, evaluated since this start."""
    seconds: float = 0.0
    """Of evaluating, shared among the workers."""

    def __post_init__(self) -> None:
        self.codes = self.problem.codes
        self.trail = Trail(self.problem)
        self._partial: dict[int, float] = {}
        self._batch = self.codes.empty()

    def run(self) -> None:
        """Interrupted, it leaves what was evaluated until then in `trail`."""
        try:
            while self.evaluations > len(self.trail):
                self._batch = self.method.ask(self.evaluations - len(self.trail))
                if not len(self._batch):
                    return
                accuracy = self._evaluate(self._batch)
                self.method.tell(self._batch, accuracy)
                self._keep(self._batch, accuracy)
                self.after_batch(self)
        except BaseException:
            rows = sorted(self._partial)
            self._keep(self._batch[rows], np.array([self._partial[row] for row in rows]))
            raise

    def _evaluate(self, batch: Array) -> Array:
        known = set(self.records.known())
        columns = self.problem.columns(batch)

        def task_of(row: int) -> Task:
            return Task(self.spec(batch[row]))

        def values_of(row: int, accuracy: float) -> list[float]:
            one = {metric: values[[row]] for metric, values in columns.items()} | {"accuracy": np.array([accuracy])}
            return [float(one[metric][0]) for metric in self.problem.objectives]

        def progress(row: int, evaluation: Evaluation) -> None:
            self._partial[row] = evaluation.accuracy
            self.done += 1
            self.fresh += batch[row].tobytes() not in known
            self.seconds += evaluation.seconds / self.workers
            self.watch(self)

        return evaluate_shared(
            self.records, batch, self.evaluator, task_of, values_of, images=self.images, progress=progress
        )

    def _keep(self, codes: Array, accuracy: Array) -> None:
        self._partial, self._batch = {}, self.codes.empty()
        if not len(codes):
            return
        self.trail.add(codes, accuracy)
        best = self.trail.best()
        self.history.append(
            Batch(
                evaluations=len(self.trail),
                seconds=self.seconds,
                hypervolume=self.trail.hypervolume(),
                best_feasible=None if best is None else float(self.trail.accuracy[best]),
                tau=self.method.tau(),
            )
        )

    def spec(self, code: Array) -> NetSpec:
        return self.codes.spec(code)
