"""What the pictures of an evaluation have in common: how they look, which names can be drawn, and their files."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from supernet import SpecError
from supernet.whole_files import whole_file

DARK, GREY, LIGHT, BLUE, ORANGE = "#212529", "#495057", "#dee2e6", "#1f5fa8", "#e8890c"
_FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Noto Sans",
    "Noto Sans Arabic",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Hiragino Sans",
    "PingFang SC",
    "Microsoft YaHei",
    "Arial Unicode MS",
)
"""Asked in this order for each letter, if they are there."""
_PNG_DPI = 150
_EDGES: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.15}


def check_matplotlib() -> None:
    """Before hours of evaluation. Raises SpecError."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise SpecError("--out", "its pictures need the package matplotlib") from None


@contextlib.contextmanager
def figure(width: float, height: float) -> Iterator[Any]:
    """Inches, at most; what is in it keeps its distance by itself."""
    import matplotlib
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = {
        "text.parse_math": False,  # a class may be called $x$
        "svg.hashsalt": "evaluation",
        "svg.fonttype": "path",
        "font.family": _installed(),
        "font.size": 9.5,
        "axes.edgecolor": "#adb5bd",
        "axes.labelcolor": DARK,
        "xtick.color": GREY,
        "ytick.color": GREY,
    }
    with matplotlib.rc_context(settings):
        made = Figure(figsize=(width, height))
        made.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1)
        yield made


def save(made: Any, folder: Path, name: str) -> None:
    """name.svg, the same bytes for the same figures, and name.png."""
    with whole_file(folder / f"{name}.svg") as beside:
        made.savefig(beside, format="svg", metadata={"Date": None}, **_EDGES)
    with whole_file(folder / f"{name}.png") as beside:
        made.savefig(beside, format="png", dpi=_PNG_DPI, **_EDGES)


def drawable(names: Sequence[str], most: int, kind: str = "class", first: int = 0) -> list[str]:
    """Names as they can be drawn: cut to so many letters, and `class 7` where no font has their letters."""
    letters = _letters()
    shown = []
    for number, name in enumerate(names, first):
        short = name if len(name) <= most else f"{name[: most - 1]}…"
        shown.append(short if letters.issuperset(map(ord, short)) else f"{kind} {number}")
    return shown


def head(panel: Any, heading: str, below: str) -> None:
    """A title over a panel, and a line in grey under it."""
    panel.set_title(
        drawable([heading], 60, "network")[0], loc="left", fontsize=12, fontweight="bold", color=DARK, pad=22
    )
    panel.annotate(below, (0, 1), (0, 8), "axes fraction", textcoords="offset points", color=GREY, fontsize=9)


@functools.cache
def _installed() -> list[str]:
    from matplotlib.font_manager import fontManager

    there = {font.name for font in fontManager.ttflist}
    return [name for name in _FONTS if name in there]


@functools.cache
def _letters() -> frozenset[int]:
    """Those that any of the fonts has."""
    from matplotlib.font_manager import FontProperties, fontManager, get_font

    found: set[int] = set()
    for name in _installed():
        found |= get_font(fontManager.findfont(FontProperties(family=[name]))).get_charmap().keys()
    return frozenset(found)
