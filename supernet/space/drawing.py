"""A space as a picture: where its networks lie by MACs, drawn uniformly and in bands, and where the published ones."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from html import escape

from ..counting import count
from ..drawing import Canvas
from .bands import Bands
from .describing import SAMPLES, millions, space_heading, uniform_macs
from .published import published_members
from .space import Space

_WIDTH, _MARGIN = 960.0, 28.0
_PANEL, _PANEL_GAP = 130.0, 46.0
_LABEL_LINE, _LETTER = 17.0, 7.6
_BINS, _BANDS = 48, 8
_BLUE, _ORANGE, _GREEN, _GREY, _DARK = "#3a86c8", "#e07a2f", "#5b8c5a", "#868e96", "#495057"
_PANELS = (
    (_BLUE, "uniform in each choice", "space.sample: hardly ever small or large ones"),
    (_ORANGE, f"stratified in {_BANDS} bands of MACs", "Bands.sample: each band as often as any other"),
)


class _Chart(Canvas):
    """A canvas with lines, and an axis of MACs from the smallest member to the largest, by logarithm."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def x(self, macs: float) -> float:
        if self.high <= self.low:
            return _WIDTH / 2
        share = math.log(macs / self.low) / math.log(self.high / self.low)
        return _MARGIN + share * (_WIDTH - 2 * _MARGIN)

    def line(self, x: float, top: float, bottom: float, colour: str, dash: str = "") -> None:
        ends = f'x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}"'
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.elements.append(f'<line {ends} stroke="{colour}" stroke-width="1.2"{dashes}/>')

    def words(self, x: float, y: float, words: str, colour: str, weight: str = "normal", anchor: str = "start") -> None:
        """Text that covers the lines behind it."""
        look = f'font-size="12" font-weight="{weight}" fill="{colour}" text-anchor="{anchor}"'
        halo = 'stroke="#ffffff" stroke-width="4" stroke-linejoin="round" paint-order="stroke"'
        self.elements.append(f'<text x="{x:.1f}" y="{y:.1f}" {look} {halo}>{escape(words)}</text>')


def draw_space(name: str, space: Space) -> str:
    """The picture as SVG: two histograms over one axis of MACs, and a line for each published member."""
    rng = random.Random(0)
    bands = Bands(space, _BANDS)
    drawn = [uniform_macs(space), [count(bands.sample(rng)).macs for _ in range(SAMPLES)]]
    chart = _Chart(count(space.smallest()).macs, count(space.largest()).macs)
    first, second = space_heading(name, space).split("\n")
    chart.text(_MARGIN, 34, first, 20, "bold")
    chart.text(_MARGIN, 56, second, 13, fill=_DARK)
    members = {member: count(spec).macs for member, spec in published_members(space).items()}
    rows = _label_rows(chart, members)
    top = 92 + _LABEL_LINE * (max(rows.values()) + 1 if rows else 0)
    floors = [top + 24 + _PANEL, top + 24 + _PANEL + _PANEL_GAP + _PANEL]
    for (colour, _, _), sampled, floor in zip(_PANELS, drawn, floors, strict=True):
        _histogram(chart, sampled, floor, colour)
    for member, macs in members.items():
        chart.line(chart.x(macs), 96 + _LABEL_LINE * rows[member], floors[-1], _GREEN, "4 3")
    for member, macs in members.items():
        y = 92 + _LABEL_LINE * rows[member]
        chart.words(_inside(chart.x(macs), member), y, member, _GREEN, "bold", "middle")
    for (colour, title, words), floor in zip(_PANELS, floors, strict=True):
        chart.words(_MARGIN, floor - _PANEL - 12, title, colour, "bold")
        chart.words(_MARGIN + _LETTER * len(title) + 14, floor - _PANEL - 12, words, _GREY)
    _axis(chart, floors[-1])
    return chart.svg(_WIDTH, floors[-1] + 60)


def _histogram(chart: _Chart, macs: Sequence[int], floor: float, colour: str) -> None:
    counts = [0] * _BINS
    wide = (_WIDTH - 2 * _MARGIN) / _BINS
    for one in macs:
        counts[min(int((chart.x(one) - _MARGIN) / wide), _BINS - 1)] += 1
    for index, number in enumerate(counts):
        tall = _PANEL * number / max(counts)
        if number:
            x = _MARGIN + index * wide
            chart.rectangle(x + 0.75, floor - tall, wide - 1.5, tall, colour, f"{number} of {len(macs):,} samples")
    chart.rectangle(_MARGIN, floor, _WIDTH - 2 * _MARGIN, 1, "#ced4da")


def _axis(chart: _Chart, floor: float) -> None:
    exponents = range(math.floor(math.log10(chart.low)), math.ceil(math.log10(chart.high)) + 1)
    for macs in (digit * 10.0**exponent for exponent in exponents for digit in (1, 2, 5)):
        if chart.low <= macs <= chart.high:
            chart.line(chart.x(macs), floor, floor + 6, _DARK)
            chart.words(chart.x(macs), floor + 20, millions(macs), _DARK, anchor="middle")
    chart.words(_MARGIN, floor + 42, f"smallest {millions(chart.low)}", _GREY)
    chart.words(_WIDTH / 2, floor + 42, "million MACs", _DARK, anchor="middle")
    chart.words(_WIDTH - _MARGIN, floor + 42, f"largest {millions(chart.high)}", _GREY, anchor="end")


def _inside(x: float, words: str) -> float:
    """So far from the edges that centred words fit."""
    half = _LETTER * len(words) / 2 + 4
    return min(max(x, half), _WIDTH - half)


def _label_rows(chart: _Chart, members: dict[str, int]) -> dict[str, int]:
    """The line of each label: the lowest where it touches no other, so that names can be read."""
    ends: list[float] = []  # of the last label in each row, from the top
    rows = {}
    for name, macs in sorted(members.items(), key=lambda item: item[1]):
        middle, half = _inside(chart.x(macs), name), _LETTER * len(name) / 2 + 6
        row = next((row for row, end in enumerate(ends) if middle - half > end), len(ends))
        ends[row : row + 1] = [middle + half]
        rows[name] = row
    return rows
