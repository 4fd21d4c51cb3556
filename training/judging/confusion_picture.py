"""Which class is taken for which, as a matrix of colours: cells with numbers for a few classes, blocks of classes for
very many."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from .drawing import DARK, GREY, drawable, figure, head, save
from .report import Report
from .scores import Confusion

NUMBERED = 20
"""Up to so many classes, cells have their percentage written in them."""
NAMED = 60
"""Up to so many, the axes have names."""
BLOCKS = 200
"""At most so many rows and columns are drawn."""

_UNIT = "% of a row's images"


def draw_confusion(report: Report, folder: Path) -> None:
    """confusion.svg and confusion.png."""
    classes = report.confusion.classes
    together = math.ceil(classes / BLOCKS)
    shares = block_shares(report.confusion, together)
    side = min(max(0.5 * classes, 2.6), 0.13 * classes + 4.4, 9.5)
    names = drawable(report.names, 28) if classes <= NAMED else []
    margin = 1.6 + 0.065 * max(map(len, names), default=0)
    with figure(max(side + margin, 5.2), side + margin) as made:
        panel = made.subplots()
        colours = _coloured(panel, shares)
        if classes <= NUMBERED:
            _numbers(panel, shares)
        else:
            bar = made.colorbar(colours, ax=panel, shrink=0.45, aspect=18, pad=0.02)
            bar.set_ticks([0, 1, 5, 10, 25, 50, 100])
            bar.set_label(_UNIT)
            bar.outline.set_visible(False)
        _ticks(panel, names, classes, together, side)
        panel.set_xlabel("answer")
        panel.set_ylabel("class")
        below = f"{report.scores.images:,} images, top-1 {report.scores.top1:.2f} %"
        if classes <= NUMBERED:
            below += f"; numbers are {_UNIT}"
        if together > 1:
            below += f"; a point is {together} classes by {together}"
        head(panel, report.model.name, below)
        save(made, folder, "confusion")


def block_shares(confusion: Confusion, together: int) -> np.ndarray:
    """Percent of the images of each `together` classes that are taken for each `together`; nan where there are none."""
    blocks = math.ceil(confusion.classes / together)
    sums = np.zeros((blocks, blocks))
    np.add.at(sums, (confusion.labels // together, confusion.answers // together), confusion.counts)
    images = sums.sum(1, keepdims=True)
    return np.divide(100 * sums, images, out=np.full_like(sums, np.nan), where=images > 0)


def _coloured(panel: Any, shares: np.ndarray) -> Any:
    """Few percent are seen beside hundred."""
    from matplotlib import colormaps
    from matplotlib.colors import PowerNorm

    colours = colormaps["Blues"].with_extremes(bad="#f1f3f5")
    panel.set_facecolor("#f1f3f5")
    for spine in panel.spines.values():
        spine.set_color("#ced4da")
    return panel.imshow(shares, cmap=colours, norm=PowerNorm(0.4, 0, 100), interpolation="nearest", aspect="equal")


def _ticks(panel: Any, names: list[str], classes: int, together: int, side: float) -> None:
    if names:
        size = 9 if len(names) <= 25 else 6.5
        panel.set_yticks(range(classes), names, fontsize=size)
        upright = 0.1 * max(map(len, names)) > side / classes
        turned: dict[str, Any] = {"rotation": 90} if upright else {}
        panel.set_xticks(range(classes), names, fontsize=size, **turned)
        panel.tick_params(length=0)
        return
    step = next(step for step in (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10**6) if classes / step <= 11)
    at = np.arange(0, classes, step)
    middle = (at - (together - 1) / 2) / together  # of a class, in the middle of its block
    panel.set_xticks(middle, [f"{one:,}" for one in at])
    panel.set_yticks(middle, [f"{one:,}" for one in at])
    panel.tick_params(color=GREY, length=3)


def _numbers(panel: Any, shares: np.ndarray) -> None:
    size = 9 if len(shares) <= 12 else 7.5
    for (row, column), share in np.ndenumerate(shares):
        if share > 0:
            text = f"{share:.0f}" if share >= 0.95 else "<1"
            panel.text(
                column, row, text, ha="center", va="center", fontsize=size, color="white" if share > 30 else DARK
            )
