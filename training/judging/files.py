"""The files about one model: evaluation.json, per_class.csv, confusion.csv, and the pictures of both tables."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from supernet.whole_files import write_whole

from ..json_lines import finite
from .class_picture import draw_classes
from .confusion_picture import draw_confusion
from .report import Report

MATRIX_CLASSES = 200
"""Up to so many, confusion.csv is a matrix."""
PAIRS = 1000
"""Of classes, in confusion.csv where there are more."""


def write_report(report: Report, folder: Path) -> None:
    """Pictures come last: only they need matplotlib."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(finite(report.figures()), ensure_ascii=False, indent=1, allow_nan=False)
    write_whole(folder / "evaluation.json", text + "\n")
    write_whole(folder / "per_class.csv", per_class_csv(report))
    write_whole(folder / "confusion.csv", confusion_csv(report))
    draw_confusion(report, folder)
    draw_classes(report, folder)


def per_class_csv(report: Report) -> str:
    head = ["class", "images", "top-1 %", "mistaken for", "in % of its images"]
    rows = ([row.name, row.images, _cell(row.top1), row.mistaken_for, _cell(row.share)] for row in report.classes())
    return csv_text(head, rows)


def confusion_csv(report: Report) -> str:
    """A row for each class, a column for each answer; or the most frequent mistakes where that would be too wide."""
    names, confusion = report.names, report.confusion
    if confusion.classes <= MATRIX_CLASSES:
        matrix = confusion.matrix().tolist()
        return csv_text(["class", *names], ([name, *row] for name, row in zip(names, matrix, strict=True)))
    images = confusion.images()
    rows = (
        [names[pair.label], names[pair.answer], pair.images, _cell(100 * pair.images / int(images[pair.label]))]
        for pair in confusion.mistakes()[:PAIRS]
    )
    return csv_text(["class", "mistaken for", "images", "in % of its images"], rows)


def csv_text(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()


def _cell(percent: float | None) -> str:
    return "" if percent is None else f"{percent:.3f}"
