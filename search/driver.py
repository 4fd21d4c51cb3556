"""The loop of a search: the method asks, networks are evaluated, the method is told; until the budget is spent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from supernet import NetSpec

from .accuracy import Task, images_on
from .codes import Array
from .halving import better_half
from .methods import Method
from .problem import Problem
from .results import Batch
from .storage import Evaluation, Records, evaluate_shared
from .trail import Trail
from .workers import Evaluator


@dataclass
class Search:
    """`watch` is told after each evaluation, and `after_batch` after each batch once something new was evaluated: until
    then, a search that goes on has nothing to show that was not there before."""

    problem: Problem
    method: Method
    records: Records
    evaluator: Evaluator[Task]
    evaluations: int
    images: int = 0
    """On which networks are judged; 0 where that is not known."""
    workers: int = 1
    watch: Callable[[Search], None] = lambda search: None
    after_batch: Callable[[Search], None] = lambda search: None
    early: Sequence[tuple[float, Records]] = ()
    """Shares of the images on which all of a batch, then its better half, and so on, are judged first; with successive
    halving."""
    trail: Trail = field(init=False)
    history: list[Batch] = field(default_factory=list)
    done: int = 0
    """Networks asked for so far that are judged or dropped, those of the batch that is under way included."""
    fresh: int = 0
    """Evaluations since this start, those on a share of the images included."""
    seconds: float = 0.0
    """Of evaluating, shared among the workers."""

    def __post_init__(self) -> None:
        self.codes = self.problem.codes
        self.trail = Trail(self.problem)
        self._partial: dict[int, float] = {}
        self._batch = self.codes.empty()

    def run(self) -> None:
        """Interrupted, it leaves what was evaluated until then in `trail`."""
        asked = 0
        try:
            while asked < self.evaluations:
                self._batch = self.method.ask(self.evaluations - asked)
                if not len(self._batch):
                    return
                asked += len(self._batch)
                accuracy, rows = self._evaluate(self._batch)
                self.method.tell(self._batch[rows], accuracy[rows])
                if len(rows) < len(self._batch):
                    self.method.drop(np.delete(self._batch, rows, axis=0))
                self._keep(self._batch[rows], accuracy[rows])
                if self.fresh:
                    self.after_batch(self)
        except BaseException:
            rows = np.array(sorted(self._partial), dtype=np.int64)
            self._keep(self._batch[rows], np.array([self._partial[row] for row in rows]))
            raise

    def _evaluate(self, batch: Array) -> tuple[Array, Array]:
        """The accuracy of each, and which of them were judged on all images: the others were dropped on the way."""
        accuracy, rows = np.zeros(len(batch)), np.arange(len(batch))
        for share, records in [*self.early, (1.0, self.records)]:
            accuracy[rows] = self._judged(batch, rows, share, records)
            if share < 1:
                columns = self.problem.columns(batch[rows], accuracy[rows])
                losses, excess = self.problem.losses(columns), self.problem.excess(columns)
                before, rows = rows, better_half(rows, losses, excess)
                self.done += len(before) - len(rows)
        return accuracy, rows

    def _judged(self, batch: Array, rows: Array, share: float, records: Records) -> Array:
        known = set(records.known())
        columns = self.problem.columns(batch)

        def task_of(index: int) -> Task:
            return Task(self.spec(batch[rows[index]]), share)

        def values_of(index: int, accuracy: float) -> list[float]:
            row = rows[index]
            one = {metric: values[[row]] for metric, values in columns.items()} | {"accuracy": np.array([accuracy])}
            return [float(one[metric][0]) for metric in self.problem.objectives]

        def progress(index: int, evaluation: Evaluation) -> None:
            row = int(rows[index])
            self.fresh += batch[row].tobytes() not in known
            self.seconds += evaluation.seconds / self.workers
            if share == 1:
                self._partial[row] = evaluation.accuracy
                self.done += 1
            self.watch(self)

        images = images_on(share, self.images)
        return evaluate_shared(
            records, batch[rows], self.evaluator, task_of, values_of, images=images, progress=progress
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

    def whole_study(self) -> Trail:
        """Everything that was evaluated, in the order in which it was claimed, whoever asked for it."""
        known = sorted(self.records.known().items(), key=lambda item: item[1].number)
        found = Trail(self.problem)
        if known:
            codes = np.stack([np.frombuffer(key, dtype=np.int32) for key, _ in known])
            found.add(codes, np.array([evaluation.accuracy for _, evaluation in known]))
        return found

    def spec(self, code: Array) -> NetSpec:
        return self.codes.spec(code)
