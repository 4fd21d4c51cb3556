"""How good the trained networks are on the validation images, and what they mistake for what."""

from __future__ import annotations

import csv
import io
from typing import Any

from search.results.markup import text
from supernet.values import counted, printable

from .examples import examples
from .found import BEST, Found
from .markup import card, heading, picture, section, table
from .reader import Reader, number

MOST_MISTAKES = 6


def judged(found: Found) -> str:
    reader = found.reader
    folders = [f"judged/{folder.name}" for folder in reader.folders("judged")]
    folders.sort(key=lambda name: (name != f"judged/{BEST}", name))
    folders = ["judged", *folders]
    known = [(name, figures) for name in folders if (figures := reader.json(f"{name}/evaluation.json"))]
    if not known:
        return ""
    images = number(known[0][1], "images")
    lede = "Networks on images that training has not seen" + (f": {images:,.0f} of them." if images else ".")
    head = ["network", "top-1", "top-5", "mean of classes", "loss", "images a second"]
    rows = [_row(figures) for _, figures in known]
    compared, shown = table(head, rows, "Networks that were judged"), examples(found, images)
    first, *others = (_one(reader, name, figures) for name, figures in known)
    more = "".join(others)
    if more:
        more = f"<details><summary>The others, class by class</summary>{more}</details>"
    return section("judged", "Judged on images", lede, compared, first, shown, more)


def _row(figures: dict[str, Any]) -> list[str]:
    speed = figures.get("throughput")
    per_second = number(speed, "images_per_second") if isinstance(speed, dict) else None
    percents = [_figure(figures, name, ".2f", " %") for name in ("top1", "top5", "mean_class_top1")]
    fast = "\N{EN DASH}" if per_second is None else f"{per_second:,.0f}"
    return [printable(str(figures.get("model", ""))), *percents, _figure(figures, "loss", ".4f"), fast]


def _figure(figures: dict[str, Any], name: str, form: str, unit: str = "") -> str:
    value = number(figures, name)
    return "\N{EN DASH}" if value is None else f"{value:{form}}{unit}"


def _one(reader: Reader, folder: str, figures: dict[str, Any]) -> str:
    name = printable(str(figures.get("model", "")))
    confusion = picture(reader, f"{folder}/confusion.svg", f"Which class {name} takes for which, as a matrix")
    classes = picture(reader, f"{folder}/per_class.svg", f"Top-1 of each class by {name}, as bars")
    parts = [heading(name), f"<p>{text(mistakes_in_words(reader.text(f'{folder}/confusion.csv')))}</p>"]
    return card(*parts, f'<div class="pictures">{confusion}{classes}</div>')


def mistakes_in_words(confusion: str) -> str:
    """Of a matrix as `retrain.py --evaluate` writes it, or its list of pairs."""
    rows = list(csv.reader(io.StringIO(confusion)))
    if len(rows) < 2:
        return ""
    head, *lines = rows
    if head[1:4] == ["mistaken for", "images", "in % of its images"]:
        pairs = [(int(row[2]), row[0], row[1]) for row in lines if len(row) == 4 and row[2].isdigit()]
    else:
        pairs = [
            (int(cell), row[0], answer)
            for row in lines
            for answer, cell in zip(head[1:], row[1:], strict=False)
            if cell.isdigit() and int(cell) and answer != row[0]
        ]
    if not pairs:
        return "It makes no mistake on these images."
    pairs.sort(key=lambda pair: -pair[0])
    words = [f"{label} for {answer} ({counted(number, 'image')})" for number, label, answer in pairs[:MOST_MISTAKES]]
    return f"What it takes for what most often: {', '.join(words)}."
