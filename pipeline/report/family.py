"""The network that was found beside the nearest one its family published: a picture of both at one scale, and what
differs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from search.costs import show
from search.results.markup import text
from supernet import NetSpec, count
from supernet.describing import Row, rows_of
from supernet.options import Size
from supernet.strict_reading import to_plain

from .found import Found
from .markup import card, heading, note, section, table
from .published import nearest, published_specs

_TIMES = "\N{MULTIPLICATION SIGN}"
_TALLEST, _GAP, _STAGE_GAP = 96.0, 2.0, 10.0
_LEAST_WIDE = 340.0
"""So that bars of a small network are no walls."""
_LOOKS = {"convolution": "still-0", "attention": "attends-0"}
_LEGEND = (
    ("still-0", "blocks without attention"),
    ("attends-0", "blocks with attention"),
    ("end", "stem, downsampling"),
)


def family(found: Found) -> str:
    """Both of the picture and the words; the page's script adds them stage by stage."""
    best = found.best
    if best is None:
        return ""
    name = nearest(best.spec)
    stages = '<h3 class="apart">Stage by stage</h3><div id="beside"></div>'
    if name is None:
        lede = f"Nothing is published of the family {best.spec.family}."
        return section("family", "The network", lede, _pictures({"found": best.spec}), stages)
    published = published_specs()[name]
    lede = f"{name} is the nearest in size of what is published of its family. {_smaller(best.spec, published)}"
    shown = _pictures({"found": best.spec, name: published})
    differing = table(["", "found", name], differences(best.spec, published), "What differs")
    return section("family", "Beside its family", lede, shown, differing, stages)


def _smaller(ours: NetSpec, theirs: NetSpec) -> str:
    """In words, which of two costs more."""
    mine, other = count(ours), count(theirs)
    parts = [_times(mine.params, other.params, "parameters"), _times(mine.macs, other.macs, "multiply-accumulates")]
    return f"The network that was found has {parts[0]} and {parts[1]}."


def _times(mine: int, other: int, what: str) -> str:
    if mine == other:
        return f"as many {what}"
    ratio = max(mine, other) / max(1, min(mine, other))
    word = "fewer" if mine < other else "more"
    if ratio < 2:
        return f"{abs(mine - other) / max(1, other):.0%} {word} {what}"
    return f"{ratio:,.0f} times {word} {what}" if ratio >= 10 else f"{ratio:.1f} times {word} {what}"


def differences(ours: NetSpec, theirs: NetSpec) -> list[list[str]]:
    """Rows of words: what, of the one, of the other. What is the same is left out, all but the cost."""
    rows = [[what, one, other] for (what, one), (_, other) in zip(_facts(ours), _facts(theirs), strict=True)]
    return [row for row in rows if row[1] != row[2]]


def _facts(spec: NetSpec) -> Iterator[tuple[str, str]]:
    blocks = [block for stage in spec.stages for block in stage.blocks]
    counted = count(spec)
    yield "image", _by(spec.size)
    yield "classes", f"{spec.num_classes:,}"
    yield "widths", ", ".join(str(stage.width) for stage in spec.stages)
    yield "blocks a stage", ", ".join(str(len(stage.blocks)) for stage in spec.stages)
    yield "kernels", _counted(f"{kernel}{_TIMES}{kernel}" for block in blocks if (kernel := _option(block, "kernel")))
    expands = (_option(block, "expand") or _option(block, "mlp_expand") for block in blocks)
    yield "expansion", _counted(f"{expand:g}{_TIMES}" for expand in expands if isinstance(expand, int | float))
    yield "attention", _attention(spec)
    yield "parameters", show("params", counted.params)
    yield "multiply-accumulates", show("macs", counted.macs)


def _option(block: object, name: str) -> object:
    return to_plain(block).get(name)


def _counted(words: Iterator[str]) -> str:
    """Such as `7x7 in 12 blocks, 3x3 in 4`."""
    found = [f"{word} in {number}" for word, number in Counter(words).most_common()]
    return ", ".join(found) or "none"


def _attention(spec: NetSpec) -> str:
    per_stage = {number: sum(block.attends for block in stage.blocks) for number, stage in enumerate(spec.stages, 1)}
    there = [str(number) for number, blocks in per_stage.items() if blocks]
    if not there:
        return "none"
    blocks = sum(per_stage.values())
    stages = f"stage{'s' if len(there) > 1 else ''} {' and '.join(there)}"
    return f"{blocks} block{'s' if blocks > 1 else ''} in {stages}"


def _pictures(specs: dict[str, NetSpec]) -> str:
    rows = {name: rows_of(spec, count(spec)) for name, spec in specs.items()}
    tallest = max(max(row.size) for found in rows.values() for row in found if row.kind != "head")
    wide = max(_LEAST_WIDE, *(_reach(found) for found in rows.values()))
    drawn = [
        f"<figure>{heading(name)}{note(_caption(specs[name]))}{_drawing(name, found, tallest, wide)}</figure>"
        for name, found in rows.items()
    ]
    legend = "".join(f'<li><i class="swatch {look}" aria-hidden="true"></i>{words}</li>' for look, words in _LEGEND)
    words = note(
        "Every bar is a block: as tall as its map, as thick as it is wide (both by square roots), at one scale."
    )
    return card(*drawn, f'<ul class="legend">{legend}</ul>', words)


def _caption(spec: NetSpec) -> str:
    counted = count(spec)
    cost = f"{show('params', counted.params)} parameters, {show('macs', counted.macs)} multiply-accumulates"
    return f"{_by(spec.size)} pixels, {spec.num_classes:,} classes, {cost}"


def _drawing(name: str, rows: list[Row], tallest: int, wide: float) -> str:
    rows = [row for row in rows if row.kind not in ("table", "head")]
    high = _TALLEST * math.sqrt(max(max(row.size) for row in rows) / tallest)
    bars, x, last = [], 0.0, rows[0].part
    for row in rows:
        if row.part != last:
            x, last = x + _STAGE_GAP, row.part
        tall, thick = _TALLEST * math.sqrt(max(row.size) / tallest), _thick(row)
        tip = text(f"{row.part}: {row.what}, {_by(row.size)}, width {row.width}")
        for _ in range(row.repeat):
            place = f'x="{x:.1f}" y="{high - tall:.1f}" width="{thick:.1f}" height="{tall:.1f}"'
            bars.append(f'<rect class="{_LOOKS.get(row.kind, "end")}" {place} rx="1.5"><title>{tip}</title></rect>')
            x += thick + _GAP
    label = text(f"{name}: {sum(row.repeat for row in rows if row.kind in _LOOKS)} blocks, drawn as bars")
    return f'<svg role="img" aria-label="{label}" viewBox="0 0 {wide:.0f} {high:.0f}">{"".join(bars)}</svg>'


def _thick(row: Row) -> float:
    return 3 + 0.55 * math.sqrt(row.width)


def _reach(rows: list[Row]) -> float:
    shown = [row for row in rows if row.kind not in ("table", "head")]
    return sum(row.repeat * (_thick(row) + _GAP) for row in shown) + _STAGE_GAP * len({row.part for row in rows})


def _by(size: Size) -> str:
    return f"{size[0]} {_TIMES} {size[1]}"
