"""Networks in text: the table of the published ones, and one network stage by stage."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from .counting import Count, count
from .families import FAMILIES
from .options import Cost, Size, strided, total
from .published import Published, published_figures
from .reading import load_spec, published_names
from .spec import NetSpec
from .stages import places


def listing() -> list[dict[str, Any]]:
    """One row for each published network: our counts, and the authors' figures under published_."""
    rows = []
    for name in published_names():
        spec = load_spec(name)
        figures = published_figures().get(name, Published())
        counted = count(spec)
        rows.append(
            {
                "name": name,
                "family": spec.family,
                "resolution": spec.resolution,
                "params": counted.params,
                "macs": counted.macs,
                "published_top1": figures.top1,
                "published_latency_ms": figures.latency_ms,
                "published_device": figures.device,
                "published_params_m": figures.params_m,
                "published_macs_g": figures.macs_g,
            }
        )
    order = list(FAMILIES)
    return sorted(rows, key=lambda row: (order.index(row["family"]), row["params"]))


def listing_table(rows: Iterable[dict[str, Any]]) -> str:
    cells = [("name", "family", "image", "params M", "MACs G", "top-1 %", "latency ms", "on")]
    for row in rows:
        cells.append(
            (
                row["name"],
                row["family"],
                str(row["resolution"]),
                f"{row['params'] / 1e6:.2f}",
                f"{row['macs'] / 1e9:.3f}",
                _or_dash(row["published_top1"], ".1f"),
                _or_dash(row["published_latency_ms"], ".2f"),
                row["published_device"] or "",
            )
        )
    note = (
        "Parameters and MACs are counted from the specs; top-1 and latency are the authors' (configs/published.yaml)."
    )
    return f"{table(cells, left=(0, 1, 7))}\n\n{note}"


def heading(name: str, spec: NetSpec, counted: Count) -> str:
    classes = f"{spec.num_classes} classes" if spec.num_classes else "no classifier"
    image = f"{_by(spec.size)} pixels, {spec.in_chans} channels"
    cost = f"{counted.params / 1e6:.3f} M parameters, {counted.macs / 1e9:.3f} G MACs"
    return f"{name}: {FAMILIES[spec.family].title}\n{image}, {classes}, {cost}"


class Row:
    """One line of the description: a part, or several equal blocks in a row."""

    def __init__(self, part: str, size: Size, width: int, what: str, cost: Cost, kind: str, repeat: int = 1) -> None:
        self.part, self.size, self.width, self.what = part, size, width, what
        self.cost, self.kind, self.repeat = cost, kind, repeat


def rows_of(spec: NetSpec, counted: Count) -> list[Row]:
    costs = dict(counted.parts)
    size = strided(spec.size, spec.stem.stride)
    rows = [Row("stem", size, spec.stem.width, spec.stem.summary(), costs["stem"], "stem")]
    for number, (stage, place) in enumerate(
        zip(spec.stages, places(spec.stem, spec.stages, spec.size), strict=True), start=1
    ):
        part = f"stage {number}"
        if stage.downsample is not None:
            what, cost = stage.downsample.summary(), costs[f"{place.path}.downsample"]
            rows.append(Row(part, place.size, place.width, f"downsample: {what}", cost, "downsample"))
        if stage.position_table:
            cost = costs[f"{place.path}.position_table"]
            rows.append(Row(part, place.size, place.width, "position table", cost, "table"))
        for _, group in itertools.groupby(enumerate(stage.blocks), key=lambda item: item[1]):
            members = list(group)
            block = members[0][1]
            cost = total(costs[f"{place.path}.blocks[{index}]"] for index, _ in members)
            kind = "attention" if block.attends else "convolution"
            rows.append(Row(part, place.size, place.width, block.summary(), cost, kind, len(members)))
        size = place.size
    classifiers = f", {2 if spec.distilled else 1} x {spec.num_classes} classes" if spec.num_classes else ""
    what = spec.head.summary() + classifiers
    rows.append(Row("head", size, spec.head.feature_width(spec.stages[-1].width), what, costs["head"], "head"))
    return rows


def description(name: str, spec: NetSpec) -> str:
    """The network stage by stage."""
    counted = count(spec)
    cells = [("", "map", "width", "blocks", "", "params", "", "MACs", "")]
    last = ""
    for row in rows_of(spec, counted):
        cells.append(
            (
                row.part if row.part != last else "",
                _by(row.size),
                str(row.width),
                f"{row.repeat} x" if row.kind in ("attention", "convolution") else "",
                row.what,
                f"{row.cost.params:,}",
                f"{row.cost.params / max(1, counted.params):.1%}",
                f"{row.cost.macs / 1e6:,.1f} M",
                f"{row.cost.macs / max(1, counted.macs):.1%}",
            )
        )
        last = row.part
    return f"{heading(name, spec, counted)}\n\n{table(cells, left=(0, 4))}"


def count_table(name: str, spec: NetSpec) -> str:
    counted = count(spec)
    cells = [("part", "params", "MACs")]
    cells += [(path, f"{cost.params:,}", f"{cost.macs:,}") for path, cost in counted.parts]
    cells.append((name, f"{counted.params:,}", f"{counted.macs:,}"))
    return table(cells, left=(0,))


def count_json(name: str, spec: NetSpec) -> dict[str, Any]:
    counted = count(spec)
    parts = {path: {"params": cost.params, "macs": cost.macs} for path, cost in counted.parts}
    return {"name": name, "params": counted.params, "macs": counted.macs, "parts": parts}


def table(cells: Sequence[Sequence[str]], left: Sequence[int]) -> str:
    """Columns as wide as their widest cell, a line under the first row; `left` are those not set to the right."""
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = []
    for row in cells:
        padded = (
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(padded).rstrip())
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)


def _by(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
