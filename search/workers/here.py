"""Evaluation in this process, one group of networks after the other."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Generic, TypeVar

from .base import EvaluationError, Function, Result, WorkersError, checked

T = TypeVar("T")


class Here(Generic[T]):
    """`function` gets `at_once` tasks, and gives their accuracies."""

    def __init__(self, function: Function[T], at_once: int = 1) -> None:
        self.function, self.at_once = function, at_once

    def __enter__(self) -> Here[T]:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    def evaluate(self, tasks: Iterable[T]) -> Iterator[Result]:
        worker = f"{socket.gethostname()}:{os.getpid()}"
        source, position = iter(tasks), 0
        while group := list(itertools.islice(source, self.at_once)):
            began = time.perf_counter()
            try:
                found = checked(self.function(group), len(group))
            except EvaluationError as error:
                raise WorkersError(str(error)) from error
            seconds = (time.perf_counter() - began) / len(group)
            for accuracy in found:
                yield Result(position, accuracy, seconds, worker)
                position += 1

    def close(self) -> None:
        """Nothing is held."""
