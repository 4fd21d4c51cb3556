"""A stage's commands, one after the other, as if a user typed them."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from supernet.values import UserError, printable
from supernet.whole_files import write_whole

from .stage import Command
from .stages import ROOT

STOPPED = 130
PATIENCE_S = 10.0
"""After Ctrl-C: a step of a training ends, and its checkpoint is written."""


class CommandError(UserError):
    """It can't be started, or ended with another status than 0, and said why."""


def shown(command: Command) -> str:
    """As it can be typed in this folder."""
    words = ["python" if word == sys.executable else word for word in command.words]
    if Path.cwd() == ROOT:
        words = [word.removeprefix(f"{ROOT}{os.sep}") for word in words]
    return shlex.join(words) + (f" > {shlex.quote(str(command.into))}" if command.into else "")


def run(command: Command) -> None:
    """UserError where it fails, KeyboardInterrupt where it was asked to stop."""
    if command.into is not None:
        command.into.parent.mkdir(parents=True, exist_ok=True)
    try:
        child = subprocess.Popen(  # noqa: S603  words of ours, and no shell reads them
            command.words, stdout=subprocess.PIPE if command.into else None, text=True, encoding="utf-8", env=_paths()
        )
    except OSError as error:
        raise CommandError(f"{printable(command.words[0])} can't be started: {error.strerror}") from None
    with _passing_on(child), child:
        text, is_asked_to_stop = _patiently(child)
    if is_asked_to_stop or child.returncode in (STOPPED, -signal.SIGINT, -signal.SIGTERM):
        raise KeyboardInterrupt
    if child.returncode:
        raise CommandError(f"the command above ended with status {child.returncode}, and said why")
    if command.into is not None:
        write_whole(command.into, text)


def _patiently(child: subprocess.Popen[str]) -> tuple[str, bool]:
    """What it printed, and whether Ctrl-C came: the command, of this terminal, gets it too, and ends in its time. One
    that doesn't, as only this process got it, is asked by SIGTERM."""
    is_asked_to_stop = False
    while True:
        try:
            return child.communicate(timeout=PATIENCE_S if is_asked_to_stop else None)[0] or "", is_asked_to_stop
        except KeyboardInterrupt:
            is_asked_to_stop = True
        except subprocess.TimeoutExpired:
            child.terminate()
            return child.communicate()[0] or "", True


@contextlib.contextmanager
def _passing_on(child: subprocess.Popen[str]) -> Iterator[None]:
    """SIGTERM, which only this process gets, goes to the command."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, _: child.send_signal(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _paths() -> dict[str, str]:
    """The commands' modules are found from any folder."""
    known = os.environ.get("PYTHONPATH", "")
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), known)))}
