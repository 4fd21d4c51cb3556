"""Labels in a picture that touch neither each other nor the marks that matter."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, NamedTuple

Place = tuple[float, float]
_AROUND = ((1, 0), (-1, 0), (1, 0.8), (1, -0.8), (-1, 0.8), (-1, -0.8), (0, 1), (0, -1))
_FAR = (8.0, 15.0, 24.0, 36.0, 50.0, 68.0)
"""Points between a mark and its label, the nearest first; a line leads to what is far away."""
_LEADER = 20.0
_HALF_MARK = 5.0


class Box(NamedTuple):
    left: float
    bottom: float
    right: float
    top: float

    def touches(self, other: Box) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.bottom < other.top and other.bottom < self.top
        )

    def inside(self, other: Box) -> bool:
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.bottom >= other.bottom
            and self.top <= other.top
        )


class _Label(NamedTuple):
    at: Place
    words: str
    look: dict[str, Any]
    transform: Any


class Labels:
    """Of one panel. They are collected first, and put where there is room once the layout is settled."""

    def __init__(self, panel: Any) -> None:
        self.panel = panel
        self._labels: list[_Label] = []
        self._free: list[Place] = []
        self._lines: list[tuple[float | None, float | None]] = []

    def keep_free(self, places: Iterable[Place]) -> None:
        self._free += places

    def keep_clear(self, across: float | None = None, up: float | None = None) -> None:
        """Of a line through the whole panel."""
        self._lines.append((across, up))

    def add(
        self,
        at: Place,
        words: str,
        colour: str,
        *,
        bold: bool = False,
        of_height: bool = False,
    ) -> None:
        """With `of_height`, the second coordinate is a share of the panel's height."""
        look = {"color": colour, "fontsize": 9, "fontweight": "bold" if bold else "normal"}
        transform = self.panel.get_xaxis_transform() if of_height else self.panel.transData
        self._labels.append(_Label(at, words, look, transform))

    def put(self) -> list[Box]:
        """Where each went, in pixels. A label for which there is no room is left out: the mark says where, the legend
        what."""
        figure = self.panel.figure
        point = figure.dpi / 72
        whole = self.panel.get_window_extent()
        edge = min(whole.x1 + 12 * point, figure.bbox.x1 - 4 * point)
        room = Box(whole.x0, whole.y0, edge, whole.y1 + 12 * point)
        marks = [self.panel.transData.transform(place) for place in self._free]
        marks += [label.transform.transform(label.at) for label in self._labels]
        half = _HALF_MARK * point
        taken = [Box(x - half, y - half, x + half, y + half) for x, y in marks]
        for across, up in self._lines:
            x, y = self.panel.transData.transform((across or 0.0, up or 0.0))
            taken.append(Box(x, whole.y0, x, whole.y1) if up is None else Box(whole.x0, y, whole.x1, y))
        return [box for label in self._labels if (box := self._put(label, room, taken, point)) is not None]

    def _put(self, label: _Label, room: Box, taken: list[Box], point: float) -> Box | None:
        from matplotlib.patheffects import withStroke

        figure = self.panel.figure
        x, y = label.transform.transform(label.at)
        text = figure.text(0, 0, label.words, transform=None, zorder=6, **label.look)
        text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
        extent = text.get_window_extent(figure.canvas.get_renderer())
        wide, tall = extent.width, extent.height
        for far, (across, up) in itertools.product(_FAR, _AROUND):
            left = x + across * far * point - (wide if across < 0 else wide / 2 if across == 0 else 0)
            bottom = y + up * far * point - tall / 2
            box = Box(left - point, bottom - point, left + wide + point, bottom + tall + point)
            if box.inside(room) and not any(box.touches(other) for other in taken):
                break
        else:
            text.remove()
            return None
        taken.append(box)
        text.set_position((left, bottom - extent.y0))
        if far >= _LEADER:
            self._lead(x, y, min(max(x, left), left + wide), bottom + tall / 2)
        return box

    def _lead(self, x: float, y: float, to_x: float, to_y: float) -> None:
        from matplotlib.lines import Line2D

        self.panel.figure.add_artist(Line2D((x, to_x), (y, to_y), transform=None, color="#868e96", lw=0.7, zorder=3))
