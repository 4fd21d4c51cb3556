"""The log of a run: what a person watches, JSON lines for programs, TensorBoard, and W&B where it is wanted.

It is made on every process and writes on process 0 only, so that the loop needs no `if`.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from supernet.values import SpecError

from .config import LogConfig
from .json_lines import JsonLines, finite
from .progress import Screen, screen, table


class RunLog:
    """A context manager. `start_step` steps were done before, and what was logged after them is written again."""

    def __init__(
        self,
        folder: Path,
        config: LogConfig,
        is_main: bool,
        total_steps: int,
        start_step: int = 0,
        stream: TextIO | None = None,
    ) -> None:
        if config.wandb and importlib.util.find_spec("wandb") is None:
            raise SpecError(
                "log.wandb", f"{config.wandb!r} needs the package wandb, which is not installed; or leave it empty"
            )
        self._folder = folder
        self._config = config
        self._is_main = is_main
        self._total_steps = total_steps
        self._start_step = start_step
        self._stream = stream
        self._open = ExitStack()
        self._screen: Screen
        self._lines: JsonLines
        self._tensorboard: Any = None
        self._wandb: Any = None

    def __enter__(self) -> RunLog:
        if not self._is_main:
            return self
        with ExitStack() as opening:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lines = JsonLines(self._folder / "log.jsonl", self._start_step)
            opening.callback(self._lines.close)
            if self._config.tensorboard:
                self._tensorboard = _tensorboard(self._folder, self._start_step)
                opening.callback(self._tensorboard.close)
            if self._config.wandb:
                self._wandb = _wandb(self._folder, self._config.wandb)
                opening.callback(self._wandb.finish)
            self._screen = screen(self._stream or sys.stdout, self._total_steps, self._start_step)
            opening.callback(self._screen.close)
            self._open = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def due(self, step: int) -> bool:
        """Whether `step` writes at this step: a loop on a GPU need not fetch its losses at the others."""
        return step % self._config.every == 0 or step == self._total_steps

    def advance(self, step: int) -> None:
        """Moves the bar, at a step that isn't due."""
        if self._is_main:
            self._screen.advance(step)

    def step(self, step: int, epoch: int, losses: Mapping[str, float], lr: float, images_per_second: float) -> None:
        """After step `step`, counted from 1, where it is due. The losses are by subnet: largest, smallest, sampled."""
        if not self.due(step):
            self.advance(step)
            return
        if not self._is_main:
            return
        self._screen.step(step, epoch, losses, lr, images_per_second)
        speed = round(images_per_second, 1)
        self._lines.write(
            "step", step, epoch=epoch, losses=losses, lr=lr, images_per_second=speed, time=round(time.time(), 3)
        )
        curves = {f"loss/{name}": loss for name, loss in losses.items()}
        self._draw(step, curves | {"lr": lr, "images_per_second": images_per_second, "epoch": epoch})

    def evaluation(self, step: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """One row for each member that was evaluated; `name` says which."""
        if not self._is_main:
            return
        rows = [finite(row) for row in rows]
        self._screen.say(f"evaluation after step {step:,}\n{table(rows)}")
        self._lines.write("evaluation", step, rows=rows, time=round(time.time(), 3))
        curves: dict[str, float] = {}
        for number, row in enumerate(rows):
            numbers = {key: value for key, value in row.items() if type(value) in (int, float)}
            curves |= {f"{key}/{row.get('name', number)}": value for key, value in numbers.items()}
        self._draw(step, curves)
        if self._tensorboard is not None:
            self._tensorboard.flush()

    def say(self, text: str) -> None:
        if self._is_main:
            self._screen.say(text)

    def _draw(self, step: int, curves: Mapping[str, float]) -> None:
        if self._tensorboard is not None:
            for name, value in curves.items():
                self._tensorboard.add_scalar(name, value, step)
        if self._wandb is not None:
            self._wandb.log(finite(dict(curves)), step=step)


def _tensorboard(folder: Path, start_step: int) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    # TensorBoard leaves out what an interrupted run wrote beyond its checkpoint.
    return SummaryWriter(str(folder / "tensorboard"), purge_step=start_step + 1 if start_step else None)


def _wandb(folder: Path, project: str) -> Any:
    """The run of this folder, continued if there was one."""
    import wandb

    note = folder / "wandb_run.txt"
    known = note.read_text(encoding="utf-8").strip() if note.exists() else None
    run = wandb.init(project=project, dir=str(folder), id=known, resume="allow", name=folder.name)
    note.write_text(run.id + "\n", encoding="utf-8")
    return run
