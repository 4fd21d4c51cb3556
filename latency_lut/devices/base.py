"""What a device must do so that the protocol can measure on it."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import nn

from supernet.values import SpecError, UserError, first_line, printable

from ..protocol import Clocks


class Runnable(Protocol):
    """An item of a plan, or any other network."""

    @property
    def shape(self) -> tuple[int, int, int]: ...

    def module(self) -> nn.Module: ...


Facts = dict[str, str | int | float | bool]
Run = Callable[[], Any]


class Device(ABC):
    """One runtime on one machine, with its settings."""

    form: str | None = None
    """What `export` must write for it: a suffix such as "onnx". None: the item's module is run as it is."""

    @property
    @abstractmethod
    def facts(self) -> Facts:
        """What tells this device from others: figures of devices with other facts are never mixed. No name or number of
        one person's machine."""

    @property
    @abstractmethod
    def clocks(self) -> Clocks: ...

    @abstractmethod
    def ready(self, item: Runnable, file: Path | None, batch: int) -> Run:
        """A function that runs the item once on `noise`, and returns what comes out, in the runtime's own form, when it
        is there. All that is done only once, such as compiling, is done before. SpecError where it can't be run."""

    @contextmanager
    def loaded(self, item: Runnable, file: Path | None, batch: int = 1) -> Iterator[Run]:
        """`ready`, and afterwards all that was loaded is free again."""
        run = self.ready(item, file, batch)
        try:
            yield run
        finally:
            del run


def noise(item: Runnable, batch: int) -> np.ndarray:
    """The input of every item on every device."""
    return np.random.default_rng(0).standard_normal((batch, *item.shape)).astype(np.float32)


@contextmanager
def taking(what: object, doing: str) -> Iterator[None]:
    """Runtimes raise exceptions of all kinds where they can't take an item: they become one line that names it."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise SpecError(printable(str(what)), f"{doing}: {first_line(error)}") from error


def thread_clocks() -> tuple[float, float]:
    """For work that is all done in the thread that asks for it."""
    return time.perf_counter(), time.thread_time()


def wall_clocks() -> tuple[float, float]:
    now = time.perf_counter()
    return now, now
