"""One page of everything: it opens from a file, asks no network for anything, and holds all it shows.

It has the look and the scripts of the search's page, so that a network is drawn in one way. Texts of users go through
`text`, or into text nodes by the scripts.
"""

from __future__ import annotations

import string
from pathlib import Path

from search.results.findings import limit_words
from search.results.markup import PAGE as SEARCH_PAGE
from search.results.markup import digest, in_script, script_of, text
from supernet.values import counted, printable
from supernet.whole_files import write_whole

from .chart import IMAGENET_CLASSES, chart_data
from .curves import curves
from .devices import devices
from .family import family
from .found import Found
from .headline import headline
from .judged import judged
from .markup import section
from .offers import offers
from .ran import ran, status
from .reader import Reader

PAGE = Path(__file__).with_name("page")
SHARED = ("1_elements.js", "2_networks.js", "3_axes.js", "4_front.js", "5_drawings.js", "6_beside.js")
"""Of the search's page."""
NAME = "report.html"


def write_report(folder: Path) -> Path:
    """From what lies in the folder of a pipeline; what is missing is left out."""
    path = Path(folder) / NAME
    write_whole(path, report_html(Path(folder)))
    return path


def report_html(folder: Path) -> str:
    found = Found(Reader(folder))
    style = "".join((one / "style.css").read_text(encoding="utf-8") for one in (SEARCH_PAGE, PAGE))
    script = script_text()
    training, charts = curves(found)
    parts = {
        "found": headline(found),
        "front": _front(found),
        "family": family(found),
        "latency": devices(found),
        "training": training,
        "judged": judged(found),
        "packages": offers(found),
        "ran": ran(found),
    }
    data = chart_data(found)
    template = string.Template((PAGE / "page.html").read_text(encoding="utf-8"))
    return template.substitute(
        style=style,
        style_hash=digest(style),
        script=script,
        script_hash=digest(script),
        title=text(_title(found)),
        chips="".join(f'<li class="limit">{text(limit_words(one))}</li>' for one in found.budget),
        status=text(status(found.reader)),
        contents=_contents({name for name, part in parts.items() if part}),
        sections="".join(parts.values()),
        trouble=_trouble(found.reader),
        data=in_script(data),
        curves=in_script(charts),
    )


def script_text() -> str:
    return script_of([*(SEARCH_PAGE / name for name in SHARED), *sorted(PAGE.glob("*.js"))])


_CONTENTS = {
    "found": "Found",
    "front": "Front",
    "family": "Beside its family",
    "latency": "Latency",
    "training": "Training",
    "judged": "Judged",
    "packages": "Packages",
    "ran": "What was run",
}


def _contents(there: set[str]) -> str:
    return "".join(f'<li><a href="#{name}">{words}</a></li>' for name, words in _CONTENTS.items() if name in there)


def _title(found: Found) -> str:
    space, data = found.config.get("space"), found.config.get("data")
    if not space:
        return printable(found.reader.folder.resolve().name)
    source = (data.get("path") or data.get("source")) if isinstance(data, dict) else None
    name = Path(str(space)).stem
    return printable(f"{name} on {Path(str(source)).name}" if source else name)


def _front(found: Found) -> str:
    """The page's script draws it."""
    if found.search is None and not found.networks:
        return ""
    marks = ["small ones as the search saw them on the supernet's weights"] if found.search is not None else []
    marks += ["squares trained on their own"] if found.networks else []
    if found.best is not None and found.best.spec.num_classes == IMAGENET_CLASSES:
        marks.append("diamonds published, by the accuracies that their authors state")
    lede = f"Every mark is a network: {', '.join(marks)}. "
    if found.best is not None and found.best.spec.num_classes != IMAGENET_CLASSES:
        lede += "Published accuracies, of ImageNet, are not shown; networks.beside trains published networks on yours. "
    lede += "Point at one to see it, click to lay it beside another; or use the arrow keys and Enter."
    chart = (
        '<div class="controls" id="front-controls"></div><div class="chart-and-card">'
        '<div class="card chart" id="front-chart"></div><aside class="card" id="front-card" aria-live="polite"></aside>'
        "</div>"
    )
    page = (
        '<p class="note after"><a href="search/report.html">How the search went, and all networks of its front</a></p>'
    )
    return section("front", "The front", lede, chart, page if found.search is not None else "")


def _trouble(reader: Reader) -> str:
    if not reader.trouble:
        return ""
    items = "".join(f"<li>{text(one)}</li>" for one in dict.fromkeys(reader.trouble))
    files = counted(len(set(reader.trouble)), "file")
    return f'<div class="notice" role="note"><p>{files} left out:</p><ul>{items}</ul></div>'
