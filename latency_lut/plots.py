"""Pictures of a table: what units cost by width, and predictions beside measurements."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from pathlib import Path
from typing import Any

from supernet.values import SpecError, printable
from supernet.whole_files import whole_file

from .lookup import LatencyTable
from .units import read_key

COLOURS = ("#4263eb", "#f76707", "#2f9e44", "#ae3ec9", "#e03131", "#0c8599", "#846358")


def draw_units(table: LatencyTable, path: Path) -> None:
    """A panel for each kind of block: latency over width, a colour for each size of the map."""
    panels: dict[str, dict[int, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
    for key, latency in table.latencies.slopes.items():
        unit = read_key(key)
        panels[unit.kind][unit.size[0]].append((unit.width, latency.ms))
    figure, axes = _figure(len(panels))
    for axis, (kind, by_size) in zip(axes, sorted(panels.items()), strict=False):
        for colour, (size, points) in zip(COLOURS * 9, sorted(by_size.items()), strict=False):
            axis.plot(*zip(*sorted(points), strict=True), "o", ms=3.5, alpha=0.75, color=colour, label=f"{size} px")
        axis.set_title(kind, fontsize=11, loc="left")
        axis.set_ylim(0, 1.08 * axis.dataLim.ymax)
        axis.legend(fontsize=7, frameon=False, title="map", title_fontsize=7)
    figure.supxlabel("width (channels that come out)", fontsize=10)
    figure.supylabel("ms of one more copy", fontsize=10)
    _name(figure, str(table.collection))
    _save(figure, path)


def draw_validation(rows: list[dict[str, Any]], device: str, path: Path) -> None:
    figure, (axis,) = _figure(1)
    measured, predicted = [row["measured_ms"] for row in rows], [row["predicted_ms"] for row in rows]
    ends = [min(measured + predicted) * 0.95, max(measured + predicted) * 1.05]
    axis.fill_between(
        ends, [end * 0.95 for end in ends], [end * 1.05 for end in ends], color="#e9ecef", label="within 5 %"
    )
    axis.plot(ends, ends, color="#adb5bd", lw=1)
    axis.plot(measured, predicted, "o", ms=4.5, color=COLOURS[0])
    axis.set(xlim=ends, ylim=ends, xlabel="measured ms", ylabel="predicted ms")
    axis.set_title(f"{len(rows)} whole networks", fontsize=11, loc="left")
    axis.legend(fontsize=8, frameon=False)
    _name(figure, device)
    _save(figure, path)


def draw_peers(rows: list[dict[str, Any]], runtime: str, path: Path) -> None:
    """A bar for each network, from fast to slow, with its spread over the rounds."""
    rows = sorted(rows, key=lambda row: -row["ms"])
    figure, (axis,) = _figure(1)
    figure.set_size_inches(7.5, 1.2 + 0.38 * len(rows))
    names = [row["model"] for row in rows]
    colours = [COLOURS[1] if name.startswith("timm:") else COLOURS[0] for name in names]
    spread = [[row["ms"] - row["low_ms"] for row in rows], [row["high_ms"] - row["ms"] for row in rows]]
    axis.barh(names, [row["ms"] for row in rows], xerr=spread, color=colours, height=0.6, error_kw={"lw": 1})
    for place, row in enumerate(rows):
        text, at = f"{row['ms']:.2f} ms, {row['params_m']:.1f} M", (row["high_ms"], place)
        axis.annotate(text, at, (5, -3), textcoords="offset points", fontsize=8)
    axis.set(xlabel=f"ms, batch {rows[0]['batch']}")
    axis.margins(x=0.3)
    _name(figure, runtime)
    _save(figure, path)


def _figure(panels: int) -> tuple[Any, Any]:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise SpecError("--plot", "needs the package matplotlib") from None
    columns = min(panels, 3)
    rows = -(-panels // columns)
    figure = Figure(figsize=(max(5.2, 3.8 * columns), max(4.6, 2.9 * rows)), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
    for axis in axes[panels:]:
        axis.remove()
    return figure, axes[:panels]


def _name(figure: Any, device: str) -> None:
    """Above all panels, on as many lines as its words need: 13 characters of this size are an inch."""
    text = textwrap.fill(device, int(13 * figure.get_figwidth()), break_long_words=False)
    figure.suptitle(text, fontsize=9, color="#495057")


def _save(figure: Any, path: Path) -> None:
    if path.suffix not in (".svg", ".png", ".pdf"):
        raise SpecError("--plot", f"{printable(path.name)}: the suffix is not one of .svg, .png, .pdf")
    with whole_file(path) as beside:
        figure.savefig(beside, dpi=150, format=path.suffix[1:])
