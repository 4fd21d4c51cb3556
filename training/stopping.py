"""A run that is asked to stop ends a step, writes a checkpoint and leaves: signals become a flag that the loop asks."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_NAMES = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "Ctrl-C", signal.SIGUSR2: "SIGUSR2"}

logger = logging.getLogger("training")


class Stop:
    """`requested` is None, or who asked first: "SIGTERM", "Ctrl-C", or "SIGUSR2" (the time limit of a job is near)."""

    def __init__(self) -> None:
        self.requested: str | None = None
        self._passed_on: set[int] = set()
        self._process = os.getpid()

    def _request(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a forked data worker, which has this handler too
            if number == signal.SIGTERM:
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)
            return  # Ctrl-C goes to all processes of a terminal; the main one ends its workers
        if number == signal.SIGINT and self.requested is not None:
            raise KeyboardInterrupt
        if number == signal.SIGUSR2:
            self._passed_on.add(number)
        if self.requested is None:
            self.requested = _NAMES[signal.Signals(number)]
            logger.warning("%s: stopping after this step; Ctrl-C ends it at once", self.requested)


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Within, SIGTERM and the first Ctrl-C only ask to stop; a Ctrl-C after that raises KeyboardInterrupt.

    SIGUSR2 is taken over only from a Python handler, such as submitit's, which puts a job whose time is nearly over
    into the queue again: it gets the signal when the checkpoint is written, at the end of the context. Handlers are
    restored then. In a thread (Ray's workers run in one) nothing can be caught, and stop is never requested.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    numbers = [signal.SIGTERM, signal.SIGINT]
    if callable(signal.getsignal(signal.SIGUSR2)):
        numbers.append(signal.SIGUSR2)
    before = {number: signal.signal(number, stop._request) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for passed_on in stop._passed_on:  # also where the run leaves by an exception
            signal.raise_signal(passed_on)
