"""The front as a picture for papers and slides: accuracy over each cost. It can be read without colours."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from supernet import SpecError
from supernet.values import printable
from supernet.whole_files import whole_file

from ..fronts import nondominated
from ..problem import ACCURACY, is_maximised
from .findings import Evaluated, Findings, limit_words
from .labels import Labels

_LIGHT, _DARK, _BLUE, _ORANGE, _GREY = "#c4c9d0", "#212529", "#1f5fa8", "#e8890c", "#495057"
_LEGEND = (
    "on the front",
    "on the front for another metric",
    "the best",
    "published",
    "published, not evaluated",
    "evaluated",
    "over a limit",
)
_DPI = 72
"""At which SVG is written: places on paper are the same while drawing and in the file."""
_SETTINGS: dict[Any, Any] = {
    "text.parse_math": False,  # a device may be called $x$
    "svg.hashsalt": "front",
    "svg.fonttype": "path",
    "font.size": 9.5,
    "axes.edgecolor": "#adb5bd",
    "axes.labelcolor": _DARK,
    "xtick.color": _GREY,
    "ytick.color": _GREY,
}


def draw_front(findings: Findings, path: Path) -> None:
    """One panel a cost metric. The same findings give the same bytes."""
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise SpecError(path.name, "needs the package matplotlib") from None
    costs = findings.cost_metrics
    columns = min(len(costs), 3)
    rows = math.ceil(len(costs) / columns)
    with matplotlib.rc_context(_SETTINGS):
        size = max(7.2, 5.0 * columns), 4.7 * rows + 0.4
        figure = Figure(figsize=size, dpi=_DPI)
        figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.1)
        canvas = FigureCanvasAgg(figure)
        panels = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
        for panel in panels[len(costs) :]:
            panel.remove()
        labels = [_panel(panel, findings, metric) for panel, metric in zip(panels, costs, strict=False)]
        figure.suptitle(_title(findings), x=0.02, ha="left", fontsize=12, fontweight="bold")
        _legend(figure, panels[: len(costs)])
        canvas.draw()  # the layout settles: only now are places on paper known
        figure.set_layout_engine("none")
        for placed in labels:
            placed.put()
        with whole_file(path) as beside:
            figure.savefig(beside, format="svg", metadata={"Date": None})


def _legend(figure: Any, panels: list[Any]) -> None:
    """Each mark of any panel once, in lines that fit."""
    found: dict[str, Any] = {}
    for panel in panels:
        for handle, words in zip(*panel.get_legend_handles_labels(), strict=True):
            found.setdefault(words, handle)
    if found:
        order = sorted(found, key=_LEGEND.index)
        figure.legend(
            [found[words] for words in order], order, loc="outside lower left", ncols=4, frameon=False, fontsize=9
        )


def _title(findings: Findings) -> str:
    count = len(findings.rows)
    return f"{printable(findings.space)}: {count:,} {'network' if count == 1 else 'networks'} evaluated"


class _Axis(NamedTuple):
    metric: str
    factor: float

    def place(self, row: Evaluated) -> tuple[float, float]:
        return row.value(self.metric) / self.factor, row.accuracy


def _panel(panel: Any, findings: Findings, metric: str) -> Labels:
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", color="#eceef1", lw=0.8)
    panel.set_axisbelow(True)
    panel.set_xlabel(printable(findings.axis_title(metric)))
    panel.set_ylabel(findings.axis_title(ACCURACY))
    panel.margins(0.07)
    labels, axis = Labels(panel), _Axis(metric, findings.scale(metric).factor)
    known = [row for row in findings.rows if math.isfinite(row.value(metric)) and math.isfinite(row.accuracy)]
    front = [row for row in known if row.on_front]
    _marks(panel, axis, [row for row in known if not row.feasible], "x", _LIGHT, 4, "over a limit")
    _marks(panel, axis, [row for row in known if row.feasible and not row.on_front], "o", _LIGHT, 3.5, "evaluated")
    line = _staircase(panel, axis, [row for row in known if row.feasible])
    unbeaten = [row for row in front if row.index in line]
    others = [row for row in front if row.index not in line]
    _marks(panel, axis, others, "o", "white", 4, "on the front for another metric", edge=_BLUE)
    labels.keep_free(_marks(panel, axis, unbeaten, "o", _BLUE, 5.5, "on the front", edge="white"))
    best = findings.best_row()
    if best is not None:
        at = _marks(panel, axis, [best], "*", _ORANGE, 15, "the best", edge=_DARK)
        labels.add(at[0], "best", _DARK, bold=True)
    _published(panel, findings, metric, labels)
    _limits(panel, findings, metric, labels)
    return labels


def _marks(
    panel: Any, axis: _Axis, rows: Sequence[Evaluated], form: str, colour: str, size: float, words: str, edge: str = ""
) -> list[tuple[float, float]]:
    places = [axis.place(row) for row in rows]
    if places:
        panel.plot(*_columns(places), form, color=colour, ms=size, mec=edge or colour, mew=0.9, label=words)
    return places


def _staircase(panel: Any, axis: _Axis, rows: Sequence[Evaluated]) -> set[int]:
    """What can be had at best for this cost alone, as a line, whatever other objectives there are. The networks on it
    are returned."""
    if not rows:
        return set()
    sign = -1.0 if is_maximised(axis.metric) else 1.0
    losses = np.array([[sign * row.value(axis.metric), -row.accuracy] for row in rows])
    unbeaten = nondominated(losses)
    steps = np.unique(losses[unbeaten], axis=0)
    across, up = sign * steps[:, 0] / axis.factor, -steps[:, 1]
    panel.plot(across, up, color=_BLUE, lw=1.3, drawstyle="steps-post", alpha=0.7)
    return {row.index for row, is_unbeaten in zip(rows, unbeaten, strict=True) if is_unbeaten}


def _published(panel: Any, findings: Findings, metric: str, labels: Labels) -> None:
    """Diamonds; those without an accuracy of their own stand on the floor, for their cost alone."""
    places, floor = [], []
    factor = findings.scale(metric).factor
    for one in findings.published:
        cost = one.value(metric)
        if cost is None or not math.isfinite(cost):
            continue
        if one.accuracy is not None:
            places.append((cost / factor, one.accuracy))
            labels.add(places[-1], _short(one.name), _DARK)
        else:
            floor.append((cost / factor, _short(one.name)))
    look = {"color": "white", "mec": _DARK, "mew": 1.3, "ms": 6.5, "zorder": 4}
    if places:
        panel.plot(*_columns(places), "D", label="published", **look)
    if floor:
        panel.plot(
            [cost for cost, _ in floor],
            [0.0] * len(floor),
            "d",
            label="published, not evaluated",
            transform=panel.get_xaxis_transform(),
            clip_on=False,
            **look,
        )
    for cost, name in floor:
        labels.add((cost, 0.0), name, _GREY, of_height=True)


def _short(name: str) -> str:
    name = printable(name)
    return name if len(name) <= 32 else f"{name[:31]}…"


def _limits(panel: Any, findings: Findings, metric: str, labels: Labels) -> None:
    low, high = panel.get_xlim()
    for limit in findings.constraints:
        at = limit.limit / findings.scale(limit.metric).factor
        words = limit_words(limit)
        if limit.metric == metric and low <= at <= high:
            panel.axvline(at, color=_DARK, lw=1.1, ls=(0, (5, 3)))
            labels.keep_clear(across=at)
            labels.add((at, 1.0), words, _DARK, of_height=True)
        elif limit.metric == ACCURACY and panel.get_ylim()[0] <= at <= panel.get_ylim()[1]:
            panel.axhline(at, color=_DARK, lw=1.1, ls=(0, (5, 3)))
            labels.keep_clear(up=at)
            labels.add((high, at), words, _DARK)
    panel.set_xlim(low, high)


def _columns(places: Iterable[tuple[float, float]]) -> tuple[list[float], list[float]]:
    across, up = zip(*places, strict=True)
    return list(across), list(up)
