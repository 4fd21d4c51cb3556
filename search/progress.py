"""What a person sees while a search goes on: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from .driver import Search

EVERY_S = 20.0
"""Between two lines."""


@contextmanager
def watching(search: Search, stream: TextIO) -> Iterator[None]:
    from rich.console import Console

    console = Console(file=stream)
    screen = _Bar(console, search) if console.is_interactive else _Lines(stream)
    search.watch = screen.show
    try:
        yield
    finally:
        screen.close(search)


class Speed:
    """Of evaluations that are made now. The first one has to read the images, and is left out as soon as there are
    others."""

    def __init__(self) -> None:
        self._began = self._first = time.monotonic()
        self._first_count = 0

    def per_second(self, search: Search) -> float:
        now = time.monotonic()
        if search.fresh and not self._first_count:
            self._first, self._first_count = now, search.fresh
        since = search.fresh - self._first_count
        return since / (now - self._first) if since else search.fresh / max(now - self._began, 1e-9)

    def left(self, search: Search) -> str:
        speed = self.per_second(search)
        if not speed:
            return "?"
        return str(datetime.timedelta(seconds=round((search.evaluations - search.done) / speed)))


def figures(search: Search) -> list[str]:
    """As of the last batch."""
    if not search.history:
        return []
    last = search.history[-1]
    found = [f"hypervolume {last.hypervolume:.4f}"]
    found.append("nothing feasible yet" if last.best_feasible is None else f"best {last.best_feasible:.2f} %")
    if last.tau is not None:
        found.append(f"tau {last.tau:.2f}")
    return found


class _Lines:
    def __init__(self, stream: TextIO) -> None:
        self.stream, self.speed, self.last = stream, Speed(), 0.0

    def show(self, search: Search) -> None:
        if search.fresh and time.monotonic() - self.last >= EVERY_S:
            self._print(search, f"{self.speed.left(search)} left")

    def close(self, search: Search) -> None:
        """Whatever is left now is not under way."""
        self._print(search)

    def _print(self, search: Search, *left: str) -> None:
        self.last = time.monotonic()
        parts = [f"{search.done:,}/{search.evaluations:,} evaluations"]
        parts += [f"{self.speed.per_second(search):.2f}/s"] if search.fresh else []
        print("  ".join([*parts, *figures(search), *left]), file=self.stream, flush=True)


class _Bar:
    def __init__(self, console: Any, search: Search) -> None:
        from rich import progress

        self.speed = Speed()
        self.bar = progress.Progress(
            progress.BarColumn(bar_width=None),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[speed]}"),
            progress.TextColumn("{task.fields[left]}"),
            progress.TextColumn("{task.fields[figures]}"),
            console=console,
            refresh_per_second=4,
            expand=True,
        )
        self.task = self.bar.add_task("", total=search.evaluations, speed="", left="", figures="")
        self.bar.start()

    def show(self, search: Search) -> None:
        self.bar.update(
            self.task,
            completed=search.done,
            speed=f"{self.speed.per_second(search):.2f}/s",
            left=f"{self.speed.left(search)} left",
            figures="  ".join(figures(search)),
        )

    def close(self, search: Search) -> None:
        self.show(search)
        self.bar.update(self.task, left="")
        self.bar.stop()
