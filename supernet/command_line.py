"""What every command does around its work: one line for what a user can mend, an exit status, and no traceback."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

from . import own_blocks
from .values import UserError, first_line, printable


def run_safely(command: Callable[[], int | None], *, stopped: str = "") -> int:
    """The exit status: that of the command, 2 for what a user can mend, 130 where it was asked to stop (then the line
    `stopped` says how to go on), as is usual for signals."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name may not fit the terminal's encoding
    try:
        own_blocks.check()
        status = command() or 0
        if sys.stdout is not None:
            sys.stdout.flush()
    except UserError as error:
        return say(str(error))
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if not package or list(Path(__file__).parents[1].glob(f"{package}*")):
            raise  # a mistake of ours
        return say(f"this needs the package {package}, which is not installed: pip install -r requirements.txt")
    except MemoryError as error:
        return say(f"the memory of this computer is full: {first_line(error)}; smaller batches or fewer jobs need less")
    except KeyboardInterrupt:
        if stopped:
            print(stopped, file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        forget_output()
        return 0
    except OSError as error:  # a full disk, a folder that was taken away
        if error.filename:
            return say(f"{printable(str(error.filename))}: {error.strerror or error}")
        forget_output()
        return say(f"the output can't be written: {error.strerror or error}")
    return status


def say(what: str) -> int:
    rank = os.environ.get("RANK", "0")
    who = "" if rank == "0" else f" (process {printable(rank)})"
    print(f"error{who}: {' '.join(what.splitlines())}", file=sys.stderr)
    return 2


def forget_output() -> None:
    """So that Python does not try to write the rest when it ends."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def count(text: str) -> int:
    """For an option's `type`."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)
