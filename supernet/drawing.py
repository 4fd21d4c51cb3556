"""A network as a picture: feature maps shrink and widen from left to right, colour shows what a block does."""

from __future__ import annotations

import math
from html import escape

from .counting import Count, count
from .describing import Row, heading, rows_of
from .spec import NetSpec

_COLOURS = {
    "stem": "#8d99ae",
    "downsample": "#8d99ae",
    "convolution": "#3a86c8",
    "attention": "#e07a2f",
    "head": "#5b8c5a",
}
_LEGEND = (("convolution", "blocks without attention"), ("attention", "blocks with attention"))
_TALLEST, _MARGIN, _GAP, _STAGE_GAP, _TOP = 190.0, 28.0, 2.0, 26.0, 96.0
_LINE = 16.0
_MIN_COLUMN = 150.0


class Canvas:
    """SVG elements, and how far they reach."""

    def __init__(self) -> None:
        self.elements: list[str] = []

    def rectangle(self, x: float, y: float, width: float, height: float, fill: str, tip: str = "") -> None:
        title = f"<title>{escape(tip)}</title>" if tip else ""
        place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
        self.elements.append(f'<rect {place} rx="1.5" fill="{fill}">{title}</rect>')

    def text(self, x: float, y: float, words: str, size: int = 12, weight: str = "normal", fill: str = "#222") -> None:
        look = f'font-size="{size}" font-weight="{weight}" fill="{fill}"'
        self.elements.append(f'<text x="{x:.1f}" y="{y:.1f}" {look}>{escape(words)}</text>')

    def svg(self, width: float, height: float) -> str:
        body = "\n".join(self.elements)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
            f'height="{height:.0f}" font-family="system-ui, -apple-system, Helvetica, Arial, sans-serif">\n'
            f'<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n'
        )


def draw(name: str, spec: NetSpec) -> str:
    """The network as SVG: one bar a block, as tall as its feature map and as thick as its width, by square roots;
    under each stage what it is made of and its share of parameters and MACs."""
    counted = count(spec)
    columns: list[list[Row]] = []
    for row in rows_of(spec, counted):
        if columns and columns[-1][0].part == row.part:
            columns[-1].append(row)
        else:
            columns.append([row])
    canvas = Canvas()
    x, floor = _MARGIN, _TOP + _TALLEST
    tallest = max(max(row.size) for column in columns for row in column)
    deepest = floor
    for column in columns:
        left = x
        for row in column:
            x = _bars(canvas, row, x, floor, tallest)
        bottom = _caption(canvas, column, left, floor + 22, counted)
        deepest = max(deepest, bottom)
        x = max(x, left + _column_width(column)) + _STAGE_GAP
    _title(canvas, name, spec, counted)
    return canvas.svg(max(x - _STAGE_GAP + _MARGIN, 720), deepest + _MARGIN)


def _bars(canvas: Canvas, row: Row, x: float, floor: float, tallest: int) -> float:
    """The bars of one row, from `x` on; returns where the next may begin."""
    if row.kind == "table":
        return x
    height = 0.12 if row.kind == "head" else math.sqrt(max(row.size) / tallest)
    thick = 3 + 0.55 * math.sqrt(row.width)
    for index in range(row.repeat):
        tip = f"{row.part}, {row.what}, {row.size[0]}x{row.size[1]}, width {row.width}"
        tip += f", {index + 1} of {row.repeat}" if row.repeat > 1 else ""
        tall = height * _TALLEST
        canvas.rectangle(x, floor - tall, thick, tall, _COLOURS[row.kind], tip)
        x += thick + _GAP
    return x


def _lines(column: list[Row]) -> list[tuple[str, str]]:
    """What stands under a column, and in which colour."""
    first = column[0]
    size = "" if first.kind == "head" else f"{first.size[0]}x{first.size[1]}, "
    lines = [(f"{size}width {first.width}", "#222")]
    for row in column:
        counted = f"{row.repeat} x " if row.kind in ("attention", "convolution") else ""
        words = counted + row.what
        lines += [(piece, _COLOURS[row.kind] if counted else "#666") for piece in _wrap(words, 30)]
    return lines


def _wrap(words: str, width: int) -> list[str]:
    lines: list[str] = []
    for word in words.split():
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _column_width(column: list[Row]) -> float:
    return max(_MIN_COLUMN, 6.3 * max(len(line) for line, _ in _lines(column)))


def _caption(canvas: Canvas, column: list[Row], x: float, y: float, counted: Count) -> float:
    canvas.text(x, y, column[0].part, 14, "bold")
    for line, colour in _lines(column):
        y += _LINE
        canvas.text(x, y, line, 12, fill=colour)
    params = sum(row.cost.params for row in column) / max(1, counted.params)
    macs = sum(row.cost.macs for row in column) / max(1, counted.macs)
    for what, share in (("params", params), ("MACs", macs)):
        y += _LINE + 2
        canvas.rectangle(x, y - 9, 60, 9, "#e9ecef")
        canvas.rectangle(x, y - 9, 60 * share, 9, "#495057")
        canvas.text(x + 66, y, f"{share:.0%} of {what}", 11, fill="#495057")
    return y


def _title(canvas: Canvas, name: str, spec: NetSpec, counted: Count) -> None:
    first, second = heading(name, spec, counted).split("\n")
    canvas.text(_MARGIN, 34, first, 20, "bold")
    canvas.text(_MARGIN, 56, second, 13, fill="#495057")
    x = _MARGIN
    for kind, words in _LEGEND:
        canvas.rectangle(x, 68, 12, 12, _COLOURS[kind])
        canvas.text(x + 18, 78, words, 12, fill="#495057")
        x += 190
    canvas.text(x, 78, "bar height: feature map · bar thickness: width (square roots)", 12, fill="#868e96")
