"""One page that shows a search to people: it opens from a file, asks no network for anything, and holds all it shows.

The page's parts lie in page/: a template, a style, and scripts that are put together in the order of their names. What
they show is JSON in the page; every text of a user goes through `escape` or, in the scripts, into text nodes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import string
from html import escape
from pathlib import Path
from typing import Any

from ..costs import show
from ..problem import ACCURACY
from .findings import Findings, duration, goal, limit_words
from .page_data import page_data

PAGE = Path(__file__).with_name("page")


def report_html(findings: Findings) -> str:
    style = (PAGE / "style.css").read_text(encoding="utf-8")
    script = script_text()
    template = string.Template((PAGE / "page.html").read_text(encoding="utf-8"))
    return template.substitute(
        style=style,
        style_hash=_digest(style),
        script=script,
        script_hash=_digest(script),
        space=_text(findings.space),
        chips=_chips(findings),
        status=_text(_status(findings)),
        best_title=_best_title(findings),
        reason=_text(_sentence(findings.best_reason)),
        tiles=_tiles(findings),
        data=in_script(page_data(findings)),
        command=_text(findings.command),
        command_state="" if findings.command else "hidden",
        config=_text(findings.config),
        versions=_versions(findings),
    )


def script_text() -> str:
    """All scripts, in one function of their own, so that nothing of them is global."""
    parts = [path.read_text(encoding="utf-8") for path in sorted(PAGE.glob("*.js"))]
    return '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"


def in_script(data: Any) -> str:
    """JSON that can stand in a script element: no text in it ends the element or begins a comment."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _digest(text: str) -> str:
    """By which the page's policy knows its own script and style, and lets no other run."""
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _text(words: str) -> str:
    """Any text as HTML: what UTF-8 or HTML can't hold is shown by its number."""
    whole = words.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
    return escape(whole)


def _chips(findings: Findings) -> str:
    goals = [f"<li>{_text(goal(metric))}</li>" for metric in findings.objectives]
    limits = [f'<li class="limit">{_text(limit_words(one))}</li>' for one in findings.constraints]
    return "".join(goals + limits)


def _best_title(findings: Findings) -> str:
    if findings.best is None:
        return "No network within the limits" if findings.rows else "Nothing evaluated yet"
    return "The best within the limits" if findings.constraints else "The best network"


def _status(findings: Findings) -> str:
    count = len(findings.rows)
    words = [f"{count:,} {'network' if count == 1 else 'networks'} evaluated in {duration(findings.seconds)}"]
    if findings.method:
        words.append(f"method {findings.method}")
    words.append(f"seed {findings.seed}")
    if not findings.is_finished:
        words.append("the search has not ended: these are its results so far")
    return " · ".join(words)


def _sentence(words: str) -> str:
    return (words[:1].upper() + words[1:]).replace("<=", "≤").replace(">=", "≥")


def _tiles(findings: Findings) -> str:
    """The figures of the best network, as large as they deserve."""
    best = findings.best_row()
    tiles = []
    if best is not None:
        for metric in dict.fromkeys((ACCURACY, *findings.cost_metrics, *findings.metrics)):
            interval, scale = best.interval(metric), findings.scale(metric)
            note = metric
            if interval is not None:
                note += f", {interval.low / scale.factor:.4g} to {show(metric, interval.high, scale)}"
            tiles.append(_tile(show(metric, best.value(metric), scale), note, "lead" if metric == ACCURACY else ""))
    tiles.append(_tile(str(len(findings.front())), "networks on the front"))
    return "".join(tiles)


def _tile(figure: str, words: str, kind: str = "") -> str:
    number, _, unit = figure.partition(" ")
    unit = f" <small>{_text(unit)}</small>" if unit else ""
    return f'<li class="tile {kind}"><b>{_text(number)}{unit}</b><span>{_text(words)}</span></li>'


def _versions(findings: Findings) -> str:
    shown = {name: value for name, value in findings.versions.items() if value not in (None, [], "")}
    rows = ((name.replace("_", " "), _words(value)) for name, value in shown.items())
    return "".join(f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in rows)


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
