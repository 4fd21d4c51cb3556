"""What everybody who evaluates has in common: tasks go in, accuracies come out as soon as they are there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from supernet.values import UserError, conform

T = TypeVar("T", contravariant=True)
Function = Callable[[list[T]], Sequence[float]]
"""From tasks to their accuracies."""


class WorkersError(UserError):
    """A network could not be evaluated."""


class EvaluationError(Exception):
    """What failed, in words, where the next time may be better."""


class Result(NamedTuple):
    position: int
    """Of the task, in the order in which tasks were taken."""
    accuracy: float
    seconds: float
    worker: str
    """Host and process."""


class Evaluator(Protocol[T]):
    def evaluate(self, tasks: Iterable[T]) -> Iterator[Result]:
        """In the order in which they are finished. A task is taken when somebody is ready for it."""

    def close(self) -> None: ...


def checked(found: Sequence[Any], number: int) -> list[float]:
    assert len(found) == number, "an accuracy for each task"
    return [conform(float, one, "accuracy") for one in found]
