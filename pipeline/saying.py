"""What a pipeline says in the end: what was found, where it lies, and what to type next."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from search.costs import COUNTED, LATENCY, show
from search.problem import ACCURACY
from supernet.values import printable

from .reading import Pipeline
from .stages import BEST

YOURS = "python -m pipeline configs/pipelines/folder.yaml --out runs/mine --set data.path=FOLDER --plan"


def ended(pipeline: Pipeline, out: Path, seconds: float, due: Sequence[str] = ()) -> str:
    """`due`: the stages that were not asked for, and have to be done. What is found is not known before that."""
    return "\n".join(_lines(pipeline, out, seconds, due))


def _lines(pipeline: Pipeline, out: Path, seconds: float, due: Sequence[str]) -> Iterator[str]:
    yield f"\ndone in {seconds_in_words(seconds)}: {printable(str(out))}"
    if due:
        yield f"to do: {', '.join(due)}; next, the same command without --only"
    else:
        yield from _found(pipeline, out)
    if pipeline.shared.data.source == "digits" and not due:
        yield f"next, your images (docs/your_images.md):\n  {YOURS}"


def _found(pipeline: Pipeline, out: Path) -> Iterator[str]:
    best = _best(out)
    trained = _json(out / "networks" / BEST / "results.json")
    if best:
        figures = [_figure(column, value) for column, value in best.items() if _is_figure(column) and value]
        yield f"  the best network by the search: {', '.join(figures)}"
    if pipeline.shared.budget:
        yield f"  within {' and '.join(pipeline.shared.budget)}"
    if trained:
        yield f"  trained: {trained['top1']:.2f} % top-1 on the validation images"
    for file in sorted((out / "packages").glob("*.json")):
        said = _json(file)
        if said:
            name = printable(str(file.with_suffix("")))
            yield f"  {name}: computes the same up to {said['error']:.1e}"
    report = out / "report.html"
    if report.exists():
        yield f"look at {printable(str(report))}"


def _is_figure(column: str) -> bool:
    is_latency = column.startswith(LATENCY) and not column.endswith((" low ms", " high ms"))
    return column in (f"{ACCURACY} %", *COUNTED) or is_latency


def _figure(column: str, value: str) -> str:
    metric = column.removesuffix(" %").removesuffix(" ms")
    return f"{metric} {show(metric, float(value))}"


def _best(out: Path) -> dict[str, str] | None:
    table = out / "search" / "front.csv"
    if not table.is_file():
        return None
    with table.open(encoding="utf-8", newline="") as file:
        return next((row for row in csv.DictReader(file) if row.get("best") == "yes"), None)


def _json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def seconds_in_words(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} hours"
