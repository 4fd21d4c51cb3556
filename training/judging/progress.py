"""What a person sees while a network is judged: a bar on a terminal, or a line now and then where output goes to a
file."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from torch import Tensor

Batch = tuple[Tensor, Tensor]
EVERY_S = 20.0
"""Between two lines."""


def watched(batches: Iterable[Batch], images: int, name: str, stream: TextIO | None) -> Iterator[Batch]:
    """The same batches. `images` are those of all of them; without a stream, nobody watches."""
    if stream is None:
        yield from batches
        return
    from rich.console import Console

    console = Console(file=stream)
    yield from _bar(batches, images, name, console) if console.is_interactive else _lines(batches, images, name, stream)


def _bar(batches: Iterable[Batch], images: int, name: str, console: Any) -> Iterator[Batch]:
    from rich import progress
    from rich.text import Text

    columns = (
        progress.BarColumn(bar_width=None),
        progress.MofNCompleteColumn(),
        progress.TextColumn("images"),
        progress.TimeRemainingColumn(),
    )
    label = progress.RenderableColumn(Text(name))
    with progress.Progress(label, *columns, console=console, transient=True, expand=True) as bar:
        task = bar.add_task("", total=images)
        for batch in batches:
            yield batch
            bar.advance(task, len(batch[1]))


def _lines(batches: Iterable[Batch], images: int, name: str, stream: TextIO) -> Iterator[Batch]:
    done, last = 0, time.monotonic()
    for batch in batches:
        yield batch
        done += len(batch[1])
        if time.monotonic() - last >= EVERY_S:
            last = time.monotonic()
            print(f"{name}: {done:,}/{images:,} images", file=stream, flush=True)
