"""Several models beside each other: a table as CSV and Markdown, and a picture of accuracy over size and speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from supernet.whole_files import write_whole

from .drawing import BLUE, DARK, GREY, LIGHT, drawable, figure, save
from .files import csv_text
from .report import Report

_LISTED = 30
"""Names beside the picture; it is not for more."""


def write_comparison(reports: Sequence[Report], folder: Path) -> None:
    rows = [report.row() for report in reports]
    write_whole(folder / "table.csv", csv_text(list(rows[0]), ([*row.values()] for row in rows)))
    write_whole(folder / "table.md", markdown(rows))
    draw_comparison(rows, folder)


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    head = list(rows[0])
    lines = [head, ["---", *["--:"] * (len(head) - 1)]]
    lines += [[_cell(value) for value in row.values()] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def draw_comparison(rows: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """comparison.svg and comparison.png. Models have the numbers of their rows; which is which stands on the right."""
    with figure(12, max(4.4, 0.2 * min(len(rows), _LISTED) + 0.9)) as made:
        panels = made.subplots(1, 2, sharey=True)
        for panel, cost in zip(panels, ("params M", "images/s"), strict=True):
            for number, row in enumerate(rows, start=1):
                _mark(panel, row[cost], row["top-1 %"], number)
            panel.set_xlabel(cost)
            panel.grid(color=LIGHT, lw=0.7)
            panel.set_axisbelow(True)
            panel.spines[["top", "right"]].set_visible(False)
            panel.margins(0.12)
        panels[0].set_ylabel("top-1 %")
        names = drawable([row["model"] for row in rows[:_LISTED]], 40, "network", first=1)
        lines = [f"{number}  {name}" for number, name in enumerate(names, start=1)]
        lines += [f"and {len(rows) - _LISTED} more"] * (len(rows) > _LISTED)
        panels[1].annotate(
            "\n".join(lines), (1, 1), (14, 0), "axes fraction", textcoords="offset points", va="top", color=DARK
        )
        save(made, folder, "comparison")


def _mark(panel: Any, across: float, up: float, number: int) -> None:
    """Of two that overlap, one is seen as a whole."""
    panel.plot(across, up, "o", ms=15, color="white", mec=BLUE, mew=1.4, zorder=2 + number)
    panel.annotate(str(number), (across, up), ha="center", va="center", fontsize=8, color=GREY, zorder=2 + number)


def _cell(value: Any) -> str:
    return "-" if value is None else str(value).replace("|", "\\|")
