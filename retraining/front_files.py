"""The table of a front that was trained, as CSV and Markdown, and in words."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from supernet.values import printable
from supernet.whole_files import write_whole
from training.progress import table

from .front_picture import draw
from .outcome import ACCURACY, Outcome


def write_front(outcomes: Sequence[Outcome], out: Path) -> None:
    """front.csv, front.md and front.svg; the table is printed, too."""
    rows = [_row(one) for one in outcomes]
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(out / "front.csv", text.getvalue())
    lines = [names, ["---"] * len(names), *([_cell(row.get(name)) for name in names] for row in rows)]
    write_whole(out / "front.md", "".join(f"| {' | '.join(line)} |\n" for line in lines))
    draw(outcomes, out / "front.svg")
    print(table(rows))
    said = agreement(outcomes)
    print(f"{said}\n{printable(str(out / 'front.svg'))}" if said else printable(str(out / "front.svg")))


def agreement(outcomes: Sequence[Outcome]) -> str:
    """Whether the search's order of the networks is that of their trained accuracies."""
    pairs = [(one.predicted[ACCURACY], one.top1) for one in outcomes if ACCURACY in one.predicted]
    if len(pairs) < 3:
        return ""
    from scipy.stats import kendalltau

    tau = float(kendalltau(*zip(*pairs, strict=True)).statistic)
    return f"Kendall's tau of predicted and trained accuracy: {tau:.2f}, of {len(pairs)} networks"


def _row(one: Outcome) -> dict[str, Any]:
    row: dict[str, Any] = {"network": printable(one.name)}
    if ACCURACY in one.predicted:
        row["predicted %"] = one.predicted[ACCURACY]
    row |= {"top1 %": one.top1, "top5 %": one.results["top5"], "loss": one.results["loss"]}
    row |= {"params M": one.params_m, "MACs M": one.results["macs_m"]}
    for metric in one.latencies():
        row[f"{printable(metric)} ms"] = round(one.predicted[metric], 4)
        if metric in one.measured:
            row[f"{printable(metric)} measured ms"] = round(one.measured[metric], 4)
    return row


def _cell(value: Any) -> str:
    return "" if value is None else str(value).replace("|", "\\|")
