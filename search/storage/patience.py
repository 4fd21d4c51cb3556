"""A storage that does not answer for a moment is asked again: a file that another process holds, a server that starts
anew."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from supernet.values import UserError, first_line

logger = logging.getLogger("search")
P = ParamSpec("P")
T = TypeVar("T")
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 3.0
_DAMAGED = (ValueError, TypeError, LookupError, RecursionError)
"""What Optuna fails with at values that it has not written."""
UNTOLD_S = 1.0
"""A person hears of what takes longer."""


class StorageError(UserError):
    """The storage can't be used now; its text is one line."""


class Patience:
    """`patience(call, ...)` calls until there is an answer, for `seconds` at most.

    A call whose answer was lost is made again, so that it may have its effect twice: callers must bear that.
    """

    def __init__(self, name: str, is_passing: Callable[[Exception], bool], seconds: float) -> None:
        self.name, self.is_passing, self.seconds = name, is_passing, seconds

    def of(self, seconds: float) -> Patience:
        return Patience(self.name, self.is_passing, seconds)

    def __call__(self, call: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        began, pause, is_told = time.monotonic(), FIRST_PAUSE_S, False
        while True:
            try:
                return call(*args, **options)
            except Exception as error:
                if isinstance(error, _DAMAGED) and not isinstance(error, UserError):
                    raise StorageError(f"storage: {self.name} is damaged: {first_line(error)}") from error
                if not self.is_passing(error):
                    raise
                waited = time.monotonic() - began
                if waited >= self.seconds:
                    raise StorageError(
                        f"storage: {self.name} has not answered for {waited:.0f} s: {reason(error)}"
                    ) from error
                if waited >= UNTOLD_S and not is_told:
                    is_told = True
                    logger.warning(
                        "%s does not answer (%s); trying for up to %.0f s", self.name, reason(error), self.seconds
                    )
            time.sleep(min(pause, max(0.0, self.seconds - waited)))
            pause = min(2 * pause, LONGEST_PAUSE_S)


def reason(error: BaseException) -> str:
    """What lies at the bottom: libraries wrap the errors of databases."""
    while error.__cause__ is not None and str(error.__cause__):
        error = error.__cause__
    details = getattr(error, "details", None)  # of an error of gRPC
    text = details() if callable(details) else None
    return first_line(Exception(text)) if text else first_line(error)
