"""Which process holds a claim, and whether it still runs."""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import socket
from pathlib import Path

import msgspec


class Owner(msgspec.Struct, frozen=True):
    """A process, told from later ones that get the same number."""

    host: str
    pid: int
    machine: str
    """A start of a computer, and the part of it in which process numbers mean the same."""
    started: str
    """When the process started, in a form that only its own computer understands; empty where it can't be known."""
    token: str
    """One opening of a study by that process."""


def this_process() -> Owner:
    pid = os.getpid()
    return Owner(socket.gethostname(), pid, _machine(), _started(pid), secrets.token_hex(4))


def is_running(owner: Owner) -> bool | None:
    """None where it can't be known: on another computer, or where a process may have its number."""
    if owner.machine != _machine():
        return None
    try:
        with contextlib.suppress(PermissionError):  # it runs, for another user
            os.kill(owner.pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    started = _started(owner.pid)
    return started == owner.started if started and owner.started else None


@functools.cache
def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
        processes = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        boot = processes = "-"
    return f"{socket.gethostname()} {boot} {processes}"


def _started(pid: int) -> str:
    """In clock ticks since the computer started, as Linux tells; a process that has ended but was not yet waited for
    has none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "ended" if fields[0] in "ZX" else fields[19]
