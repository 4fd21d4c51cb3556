"""Successive halving: many networks are judged on few images, and only the better ones on more."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .accuracy import Task
from .workers import Evaluator, Result

GROUP = 16
"""Networks that compete with each other."""


@dataclass(frozen=True)
class Halving:
    """An evaluator of another one: each group is judged on 1 / 2 ** rungs of the images first; the better half goes on
    to twice as many, until all. The accuracy of a network is that on the most images it was judged on."""

    inner: Evaluator[Task]
    rungs: int
    group: int = GROUP

    def evaluate(self, tasks: Iterable[Task]) -> Iterator[Result]:
        position = 0
        tasks = iter(tasks)
        while group := list(itertools.islice(tasks, self.group)):
            for result in self._compete(group):
                yield result._replace(position=position + result.position)
            position += len(group)

    def close(self) -> None:
        self.inner.close()

    def _compete(self, group: list[Task]) -> list[Result]:
        """All at once: a group that was interrupted is judged again as a whole."""
        found: dict[int, Result] = {}
        running = list(range(len(group)))
        for rung in range(self.rungs, -1, -1):
            judged = [Task(group[index].spec, 0.5**rung) for index in running]
            for result in self.inner.evaluate(judged):
                index = running[result.position]
                seconds = result.seconds + (found[index].seconds if index in found else 0.0)
                found[index] = result._replace(position=index, seconds=seconds)
            better = sorted(running, key=lambda index: (-found[index].accuracy, index))
            running = sorted(better[: max(1, len(running) // 2)])
        return [found[index] for index in range(len(group))]
