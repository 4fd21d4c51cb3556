"""How each class does, sorted: a bar for each of a few, a curve for many beside those that do worst."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .drawing import BLUE, DARK, GREY, LIGHT, ORANGE, drawable, figure, head, save
from .report import ClassRow, Report

BARS = 60
"""Up to so many classes have a bar each."""
WORST = 25
"""Of more classes, so many are named."""


def draw_classes(report: Report, folder: Path) -> None:
    """per_class.svg and per_class.png. Classes without images are left out."""
    rows = [row for row in report.classes() if row.top1 is not None]
    rows.sort(key=lambda row: (-(row.top1 or 0.0), row.number))
    labels = drawable(report.names, 36)
    below = f"{report.scores.images:,} images, top-1 {report.scores.top1:.2f} % (the line)"
    if len(rows) < len(report.names):
        below += f"; {len(report.names) - len(rows):,} classes have no images"
    if len(rows) <= BARS:
        with figure(7.2, 1.3 + 0.24 * len(rows)) as made:
            panel = made.subplots()
            _bars(panel, rows, labels, report.scores.top1)
            head(panel, report.model.name, below)
            save(made, folder, "per_class")
        return
    with figure(11, 1.3 + 0.24 * WORST) as made:
        left, right = made.subplots(1, 2, width_ratios=(1, 1))
        _curve(left, rows, report.scores.top1)
        _bars(right, rows[-WORST:], labels, report.scores.top1)
        right.set_title(f"the {WORST} worst", loc="left", fontsize=10, color=DARK)
        head(left, report.model.name, below)
        save(made, folder, "per_class")


def _bars(panel: Any, rows: Sequence[ClassRow], labels: Sequence[str], mean: float) -> None:
    """The best on top."""
    shares = np.array([row.top1 for row in rows], float)
    places = np.arange(len(rows))
    panel.barh(places, 100, height=0.72, color="#f1f3f5")
    panel.barh(places, shares, height=0.72, color=BLUE)
    panel.axvline(mean, color=ORANGE, lw=1.2)
    panel.set_yticks(places, [labels[row.number] for row in rows], fontsize=8.5)
    panel.set_ylim(len(rows) - 0.5, -0.5)
    panel.set_xlim(0, 100)
    panel.set_xlabel("top-1 %")
    panel.tick_params(axis="y", length=0)
    panel.spines[["top", "right", "left"]].set_visible(False)
    for place, row in zip(places, rows, strict=True):
        words = f"{row.top1:.1f}"
        panel.annotate(words, (100, place), (4, 0), textcoords="offset points", va="center", fontsize=8, color=GREY)


def _curve(panel: Any, rows: Sequence[ClassRow], mean: float) -> None:
    shares = np.array([row.top1 for row in rows], float)
    places = np.arange(1, len(rows) + 1)
    panel.fill_between(places, shares, color="#e7effa", step="mid")
    panel.plot(places, shares, color=BLUE, lw=1.6, drawstyle="steps-mid")
    panel.axhline(mean, color=ORANGE, lw=1.2)
    panel.set_xlim(1, len(rows))
    panel.set_ylim(0, 100)
    panel.set_xlabel("classes, from the best to the worst")
    panel.set_ylabel("top-1 %")
    panel.grid(axis="y", color=LIGHT, lw=0.7)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
