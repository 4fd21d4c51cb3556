"""What a person sees while a run goes on: a bar on a terminal, or a line now and then where output goes to a file."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TextIO


class Screen(Protocol):
    def step(self, step: int, epoch: int, losses: Mapping[str, float], lr: float, images_per_second: float) -> None: ...
    def advance(self, step: int) -> None: ...
    def say(self, text: str) -> None: ...
    def close(self) -> None: ...


def screen(stream: TextIO, total_steps: int, start_step: int) -> Screen:
    from rich.console import Console

    console = Console(file=stream)
    if console.is_interactive:
        return _Bar(console, total_steps, start_step)
    return _Lines(stream, total_steps, start_step)


class _Lines:
    """`step` is called when a line is due."""

    def __init__(self, stream: TextIO, total_steps: int, start_step: int) -> None:
        self._stream = stream
        self._total = total_steps
        self._start = start_step
        self._began = time.monotonic()

    def step(self, step: int, epoch: int, losses: Mapping[str, float], lr: float, images_per_second: float) -> None:
        done = step - self._start
        left = (time.monotonic() - self._began) / done * (self._total - step) if done > 0 else 0.0
        width = len(f"{self._total:,}")
        parts = [
            f"step {step:{width},}/{self._total:,} ({step / max(1, self._total):4.0%})",
            f"epoch {epoch}",
            *_losses(losses),
            f"lr {lr:.2e}",
            f"{images_per_second:,.0f} images/s",
            f"{datetime.timedelta(seconds=round(left))} left",
        ]
        self.say("  ".join(parts))

    def advance(self, step: int) -> None:
        """Only what is due is printed."""

    def say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Nothing is open."""


class _Bar:
    def __init__(self, console: Any, total_steps: int, start_step: int) -> None:
        from rich import progress

        self._bar = progress.Progress(
            progress.TextColumn("epoch {task.fields[epoch]}"),
            progress.BarColumn(bar_width=None),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[speed]}"),
            progress.TimeRemainingColumn(),
            progress.TextColumn("{task.fields[losses]}"),
            console=console,
            refresh_per_second=4,
            speed_estimate_period=120,
            expand=True,
        )
        self._task = self._bar.add_task("", total=total_steps, completed=start_step, epoch="-", speed="", losses="")
        self._bar.start()

    def step(self, step: int, epoch: int, losses: Mapping[str, float], lr: float, images_per_second: float) -> None:
        shown = "  ".join([*_losses(losses), f"lr {lr:.1e}"])
        speed = f"{images_per_second:,.0f} images/s"
        self._bar.update(self._task, completed=step, epoch=str(epoch), speed=speed, losses=shown)

    def advance(self, step: int) -> None:
        self._bar.update(self._task, completed=step)

    def say(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        self._bar.stop()


def _losses(losses: Mapping[str, float]) -> list[str]:
    return [f"{name} {loss:.3f}" for name, loss in losses.items()]


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as text, a column for each key that any of them has; numbers to the right."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = []
    for name in names:
        values = [row.get(name) for row in rows]
        right = all(isinstance(value, int | float) or value is None for value in values)
        cells = [name.replace("_", " "), *_cells(values)]
        width = max(map(len, cells))
        columns.append([cell.rjust(width) if right else cell.ljust(width) for cell in cells])
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))


def _cells(values: Sequence[Any]) -> list[str]:
    """The numbers of a column have as many decimals as each other."""
    decimals = 2 if any(isinstance(value, float) and abs(value) >= 10 for value in values) else 4
    cells = []
    for value in values:
        if value is None:
            cells.append("-")
        elif isinstance(value, float):
            cells.append(f"{value:,.{decimals}f}")
        else:
            cells.append(f"{value:,}" if type(value) is int else str(value))
    return cells
