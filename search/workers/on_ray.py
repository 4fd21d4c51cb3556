"""Evaluation by actors of a Ray cluster, each of which holds a supernet: on this computer or on many."""

from __future__ import annotations

import itertools
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Generic, TypeVar

from supernet.values import SpecError, UserError, first_line
from training.launching import worker_environment
from training.ray_cluster import join

from .base import Function, Result, WorkersError, checked

logger = logging.getLogger("search")
T = TypeVar("T")
ATTEMPTS = 3
PATIENCE_S = 60.0
"""After which a person wants to know why nothing happens."""
SHORT_S = 0.5
"""An actor whose evaluations take less has the next one at hand before it is finished."""


def _worker() -> type:
    """What an actor is made of. It travels by value, so that a worker imports only what its function needs."""

    class Worker:
        def make(self, make_function: Callable[[], Function[Any]]) -> None:
            self.function = make_function()

        def evaluate(self, tasks: list[Any]) -> tuple[Sequence[Any], float, str]:
            import os
            import socket
            import time

            began = time.perf_counter()
            found = self.function(tasks)
            return found, time.perf_counter() - began, f"{socket.gethostname()}:{os.getpid()}"

    return Worker


@dataclass
class _Group(Generic[T]):
    """Tasks that an actor gets at once."""

    position: int
    """Of the first."""
    tasks: list[T]
    attempts: int = 0


@dataclass(eq=False)
class _Actor(Generic[T]):
    handle: Any
    ready: Any
    """The answer that says so; None when it has come."""
    work: deque[tuple[Any, _Group[T]]] = field(default_factory=deque)
    """Answers that are awaited, and what for, in the order in which they will come."""

    @property
    def awaited(self) -> Any:
        return self.ready if self.ready is not None else self.work[0][0] if self.work else None


class OnRay(Generic[T]):
    """`number` actors, each of which calls `make_function` once, and then evaluates by what it gave.

    They get `at_once` tasks at a time. `address`: of a running cluster; empty: the one that RAY_ADDRESS names or that
    runs here, else one is started on this computer. What a killed actor was evaluating is evaluated again by a new one.
    """

    def __init__(
        self,
        make_function: Callable[[], Function[T]],
        number: int = 1,
        cpus: float = 1.0,
        gpus: float = 0.0,
        address: str = "",
        at_once: int = 1,
    ) -> None:
        self._ray = _import_ray()
        self._make, self._number, self._cpus, self._gpus = make_function, number, cpus, gpus
        self._at_once = at_once
        self._actors: list[_Actor[T]] = []
        self._deaths = 0
        self._seconds = float("inf")
        self._started = not self._ray.is_initialized()
        if self._started:
            join(self._ray, "workers.address", address, log_to_driver=False)
        try:
            self._check_resources()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> OnRay[T]:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Actors end, and so does a cluster that was started for them."""
        for actor in self._actors:
            self._ray.kill(actor.handle)
        self._actors = []
        if self._started and self._ray.is_initialized():
            self._ray.shutdown()

    def evaluate(self, tasks: Iterable[T]) -> Iterator[Result]:
        waiting: deque[_Group[T]] = deque()
        source = _groups(iter(tasks), self._at_once)
        try:
            while True:
                is_done = not self._hand_out(waiting, source)
                awaited = {actor.awaited: actor for actor in self._actors if actor.awaited is not None}
                if is_done and not any(actor.work for actor in self._actors):
                    return
                answers, _ = self._ray.wait(list(awaited), num_returns=1, timeout=PATIENCE_S)
                if answers:
                    yield from self._receive(awaited[answers[0]], waiting)
                elif all(actor.ready is not None for actor in self._actors):
                    logger.warning("no worker has started for %.0f s: others may use the cluster", PATIENCE_S)
        finally:
            for actor in [actor for actor in self._actors if actor.work]:
                self._discard(actor)  # nobody waits for what it still does

    def _hand_out(self, waiting: deque[_Group[T]], source: Iterator[_Group[T]]) -> bool:
        """False when there are no further tasks."""
        while len(self._actors) < self._number:
            self._actors.append(self._new_actor())
        depth = 2 if self._seconds < SHORT_S else 1
        for wanted in range(depth):
            for actor in self._actors:
                if actor.ready is None and len(actor.work) <= wanted:
                    group = waiting.popleft() if waiting else next(source, None)
                    if group is None:
                        return False
                    actor.work.append((actor.handle.evaluate.remote(group.tasks), group))
        return True

    def _receive(self, actor: _Actor[T], waiting: deque[_Group[T]]) -> Iterator[Result]:
        try:
            answer = self._ray.get(actor.awaited)
        except self._ray.exceptions.RayTaskError as error:
            cause = error.cause if isinstance(error.cause, Exception) else error
            if isinstance(cause, UserError):  # it would be the same the next time
                raise cause from None
            if actor.ready is not None:
                raise WorkersError(f"a worker can't evaluate: {_last_line(cause)}") from cause
            self._again(actor.work.popleft()[1], waiting, cause)
        except self._ray.exceptions.RayError as error:  # its process, its computer, or the way to it
            lost = [group for _, group in actor.work]
            self._discard(actor)
            waiting.extendleft(reversed(lost[1:]))
            if lost:
                self._again(lost[0], waiting, error)
            self._deaths += 1
            if self._deaths >= ATTEMPTS * self._number:
                raise WorkersError(f"workers die again and again: {_last_line(error)}") from None
        else:
            if actor.ready is not None:
                actor.ready = None
                return
            _, group = actor.work.popleft()
            self._deaths = 0
            found, self._seconds, worker = answer
            for index, accuracy in enumerate(checked(found, len(group.tasks))):
                yield Result(group.position + index, accuracy, self._seconds / len(group.tasks), worker)

    def _again(self, group: _Group[T], waiting: deque[_Group[T]], error: Exception) -> None:
        group.attempts += 1
        if group.attempts >= ATTEMPTS:
            raise WorkersError(f"the evaluation of a network failed {ATTEMPTS} times: {_last_line(error)}") from error
        waiting.appendleft(group)

    def _new_actor(self) -> _Actor[T]:
        options: dict[str, Any] = {"num_cpus": self._cpus, "num_gpus": self._gpus}
        options["runtime_env"] = {"env_vars": worker_environment()}
        handle = self._ray.remote(_worker()).options(**options).remote()
        return _Actor(handle, handle.make.remote(self._make))

    def _discard(self, actor: _Actor[T]) -> None:
        self._actors.remove(actor)
        self._ray.kill(actor.handle)

    def _check_resources(self) -> None:
        """Ray would wait for ever for what a cluster does not have."""
        cluster = self._ray.cluster_resources()
        for kind, field_, amount in (("CPU", "workers.cpus", self._cpus), ("GPU", "workers.gpus", self._gpus)):
            has, wanted = cluster.get(kind, 0.0), amount * self._number
            if wanted > has:
                raise SpecError(
                    field_, f"{self._number} actors with {amount:g} each need {wanted:g} {kind}s; Ray has {has:g}"
                )


def _groups(tasks: Iterator[T], at_once: int) -> Iterator[_Group[T]]:
    position = 0
    while group := list(itertools.islice(tasks, at_once)):
        yield _Group(position, group)
        position += len(group)


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a search reports to nobody unless its user wants that
    try:
        import ray
    except ImportError as error:
        raise SpecError("workers.where", f"'ray' needs the package ray: {first_line(error)}") from None
    return ray


def _last_line(error: Exception) -> str:
    """Ray's errors end with what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return first_line(Exception(lines[-1])) if lines else type(error).__name__
