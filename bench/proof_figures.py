"""What came of the retrainings of `bench/proof.py`: means with 95 % intervals, differences, a table, a picture."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from supernet.whole_files import whole_file, write_whole

FOUND = "found"
COLOURS = ("#1f5fbf", "#8a8a8a", "#d1801f", "#2f8f5b", "#a04a9a")
MARKERS = ("o", "s", "D", "^", "v")


class Network(NamedTuple):
    """`inside` is its accuracy on the supernet's weights, where it is a member."""

    kind: str
    budget_ms: float
    name: str
    params: int
    macs: int
    predicted_ms: float | None
    ms: float
    inside: float | None


class Interval(NamedTuple):
    """Around a mean of so many; `half` is nan where there is only one."""

    mean: float
    half: float
    number: int

    def __str__(self) -> str:
        return f"{self.mean:.2f}" + ("" if math.isnan(self.half) else f" ± {self.half:.2f}")


Accuracies = Mapping[tuple[str, int], float]
"""By network's name and seed."""


def interval(values: Sequence[float]) -> Interval:
    """Student's 95 % interval of the mean."""
    from scipy.stats import t

    number = len(values)
    if number < 2:
        return Interval(statistics.fmean(values), math.nan, number)
    half = float(t.ppf(0.975, number - 1)) * statistics.stdev(values) / math.sqrt(number)
    return Interval(statistics.fmean(values), half, number)


def differences(one: str, other: str, accuracies: Accuracies) -> list[float]:
    """Of the same seeds, as far as both have been trained with them."""
    return [
        top1 - accuracies[other, seed]
        for (name, seed), top1 in accuracies.items()
        if name == one and (other, seed) in accuracies
    ]


def paired(networks: Sequence[Network], kind: str, accuracies: Accuracies) -> dict[float | None, Interval]:
    """Found minus that kind, for each budget and, under None, over all of them."""
    found: dict[float | None, Interval] = {}
    everything: list[float] = []
    for budget in sorted({one.budget_ms for one in networks}):
        names = {one.kind: one.name for one in networks if one.budget_ms == budget}
        if FOUND not in names or kind not in names:
            continue
        ours = differences(names[FOUND], names[kind], accuracies)
        if ours:
            found[budget] = interval(ours)
            everything += ours
    if everything:
        found[None] = interval(everything)
    return found


def kendall(networks: Sequence[Network], accuracies: Accuracies) -> tuple[float, int] | None:
    """Of the accuracy inside the supernet and that of the trained network, and over how many; None below three."""
    from scipy.stats import kendalltau

    pairs = {one.name: (one.inside, of(one, accuracies)) for one in networks}
    known = [(inside, trained.mean) for inside, trained in pairs.values() if inside is not None and trained]
    if len(known) < 3:
        return None
    return float(kendalltau(*zip(*known, strict=True)).statistic), len(known)


def of(network: Network, accuracies: Accuracies) -> Interval | None:
    values = [top1 for (name, _), top1 in accuracies.items() if name == network.name]
    return interval(values) if values else None


def write_table(networks: Sequence[Network], accuracies: Accuracies, path: Path) -> str:
    """Two tables in Markdown, and Kendall's tau in a line."""
    lines = [
        "| budget ms | network | ms measured | ms predicted | params k | MACs M | inside % | top-1 % (95 %) | seeds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in networks:
        trained = of(one, accuracies)
        predicted = "" if one.predicted_ms is None else f"{one.predicted_ms:.3f}"
        inside = "" if one.inside is None else f"{one.inside:.1f}"
        cells = [f"{one.budget_ms:g}", one.kind, f"{one.ms:.3f}", predicted, f"{one.params / 1e3:.0f}"]
        cells += [f"{one.macs / 1e6:.2f}", inside, str(trained or ""), str(trained.number if trained else 0)]
        lines.append(f"| {' | '.join(cells)} |")
    budgets: list[float | None] = [*sorted({one.budget_ms for one in networks}), None]
    names = ["all budgets" if budget is None else f"{budget:g} ms" for budget in budgets]
    lines += ["", f"| found minus | {' | '.join(names)} |", "|---" * (len(budgets) + 1) + "|"]
    for kind in dict.fromkeys(one.kind for one in networks if one.kind != FOUND):
        ours = paired(networks, kind, accuracies)
        lines.append(f"| {kind} | {' | '.join(str(ours.get(budget, '')) for budget in budgets)} |")
    tau = kendall(networks, accuracies)
    if tau is not None:
        lines += [
            "",
            f"Kendall's tau of the accuracy inside the supernet and after training: {tau[0]:.2f}, {tau[1]} networks",
        ]
    text = "\n".join(lines) + "\n"
    write_whole(path, text)
    return text


def draw(networks: Sequence[Network], accuracies: Accuracies, path: Path) -> None:
    """Accuracy over measured latency, with intervals; budgets as lines."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    matplotlib.rcParams["svg.hashsalt"] = "proof"
    figure, axes = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
    for budget in sorted({one.budget_ms for one in networks}):
        axes.axvline(budget, color="#cccccc", linewidth=1, linestyle=":", zorder=0)
    kinds = list(dict.fromkeys(one.kind for one in networks))
    for number, kind in enumerate(kinds):
        known = [(one, of(one, accuracies)) for one in networks if one.kind == kind]
        points = sorted((one.ms, trained) for one, trained in known if trained is not None)
        if not points:
            continue
        halves = [0.0 if math.isnan(trained.half) else trained.half for _, trained in points]
        axes.errorbar(
            [ms for ms, _ in points],
            [trained.mean for _, trained in points],
            halves,
            color=COLOURS[number % len(COLOURS)],
            marker=MARKERS[number % len(MARKERS)],
            linewidth=2.2 if kind == FOUND else 1.2,
            capsize=3,
            label=kind,
            zorder=3 if kind == FOUND else 2,
        )
    axes.set_xlabel("latency measured on this computer, ms (budgets dotted)")
    axes.set_ylabel("top-1 after retraining, %")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    with whole_file(path) as beside:
        figure.savefig(
            beside, format=path.suffix[1:], metadata={"Date": None} if path.suffix == ".svg" else None, dpi=130
        )
    plt.close(figure)
