"""A picture of a trained front: accuracy for what it costs, and predictions beside what came of them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from supernet import load_spec
from supernet.published import published_figures
from supernet.values import printable
from supernet.whole_files import write_whole

from .outcome import ACCURACY, Outcome

_BLUE, _ORANGE, _GREY, _DARK = "#1c7ed6", "#e8590c", "#868e96", "#212529"
Place = tuple[float, float]
IMAGENET_CLASSES = 1000
"""Where networks have so many, the authors' figures of published ones are shown beside them."""


def draw(outcomes: Sequence[Outcome], path: Path) -> None:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    metrics = list(dict.fromkeys(metric for one in outcomes for metric in one.latencies()))
    measured = [metric for metric in metrics if any(metric in one.measured for one in outcomes)]
    predicted = [one for one in outcomes if ACCURACY in one.predicted]
    number = 1 + len(metrics) + bool(predicted) + len(measured)
    columns = min(number, 2)
    figure = Figure(figsize=(5.6 * columns, 4.2 * -(-number // columns)), layout="constrained")
    FigureCanvasSVG(figure)
    panels = iter(figure.subplots(-(-number // columns), columns, squeeze=False).flat)
    published = _published(outcomes)
    unit, factor = ("M", 1.0) if max(one.params_m for one in outcomes) >= 1 else ("k", 1e3)
    _cost(next(panels), outcomes, [factor * one.params_m for one in outcomes], f"parameters, {unit}", published)
    for metric in metrics:
        _cost(next(panels), outcomes, [_ms(one, metric) for one in outcomes], f"{printable(metric)}, ms", {})
    if predicted:
        pairs = [(one.predicted[ACCURACY], one.top1) for one in predicted]
        _beside(next(panels), pairs, "accuracy as the search saw it, %", "trained, %")
    for metric in measured:
        times = [(one.predicted[metric], one.measured[metric]) for one in outcomes if metric in one.measured]
        _beside(next(panels), times, f"{printable(metric)} predicted, ms", "measured, ms")
    for panel in panels:
        panel.set_axis_off()
    content = io.BytesIO()
    figure.savefig(content, format="svg", metadata={"Date": None})
    write_whole(path, content.getvalue())


def _ms(one: Outcome, metric: str) -> float:
    return one.measured.get(metric, one.predicted.get(metric, float("nan")))


def _cost(
    panel: Any, outcomes: Sequence[Outcome], costs: Sequence[float], words: str, published: Mapping[str, Place]
) -> None:
    _look(panel, words, "top-1, %")
    panel.margins(0.09)
    panel.plot(costs, [one.top1 for one in outcomes], "o", color=_BLUE, ms=6, label="trained")
    both = [(cost, one) for cost, one in zip(costs, outcomes, strict=True) if ACCURACY in one.predicted]
    seen = [(cost, one.predicted[ACCURACY]) for cost, one in both]
    if seen:
        for cost, one in both:
            panel.plot([cost, cost], [one.predicted[ACCURACY], one.top1], color=_GREY, lw=0.7, zorder=1)
        panel.plot(*zip(*seen, strict=True), "o", color="white", mec=_GREY, ms=5, label="as the search saw them")
    if published:
        panel.plot(*zip(*published.values(), strict=True), "D", color="white", mec=_DARK, ms=6, label="published")
        for name, place in published.items():
            panel.annotate(name, place, xytext=(5, 4), textcoords="offset points", fontsize=8, color=_DARK)
    panel.legend(frameon=False, fontsize=8, loc="best")


def _published(outcomes: Sequence[Outcome]) -> dict[str, Place]:
    """Of the families at hand: the authors' parameters and accuracy."""
    families = {one.spec.family for one in outcomes}
    if any(one.spec.num_classes != IMAGENET_CLASSES for one in outcomes):
        return {}
    return {
        name: (figures.params_m, figures.top1)
        for name, figures in published_figures().items()
        if figures.params_m is not None and figures.top1 is not None and load_spec(name).family in families
    }


def _beside(panel: Any, pairs: Sequence[tuple[float, float]], across: str, up: str) -> None:
    _look(panel, across, up)
    ends = (min(map(min, pairs)), max(map(max, pairs)))
    panel.plot(ends, ends, color=_GREY, lw=1, ls=(0, (5, 3)))
    panel.plot(*zip(*pairs, strict=True), "o", color=_ORANGE, ms=6)


def _look(panel: Any, across: str, up: str) -> None:
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(color="#eceef1", lw=0.8)
    panel.set_axisbelow(True)
    panel.locator_params(axis="x", nbins=5)
    panel.set_xlabel(across)
    panel.set_ylabel(up)
