"""One page that shows a search to people: it opens from a file, asks no network for anything, and holds all it shows.

The page's parts lie in page/: a template, a style, and scripts that are put together in the order of their names. What
they show is JSON in the page; every text of a user goes through `text` or, in the scripts, into text nodes.
"""

from __future__ import annotations

import string

from ..costs import show
from ..problem import ACCURACY
from .findings import Findings, duration, goal, limit_words
from .markup import PAGE, digest, facts, in_script, script_of, text, tile
from .page_data import page_data


def report_html(findings: Findings) -> str:
    style = (PAGE / "style.css").read_text(encoding="utf-8")
    script = script_text()
    template = string.Template((PAGE / "page.html").read_text(encoding="utf-8"))
    return template.substitute(
        style=style,
        style_hash=digest(style),
        script=script,
        script_hash=digest(script),
        space=text(findings.space),
        chips=_chips(findings),
        status=text(_status(findings)),
        best_title=_best_title(findings),
        reason=text(_sentence(findings.best_reason)),
        tiles=_tiles(findings),
        data=in_script(page_data(findings)),
        command=text(findings.command),
        command_state="" if findings.command else "hidden",
        config=text(findings.config),
        versions=facts(findings.versions.items()),
    )


def script_text() -> str:
    return script_of(sorted(PAGE.glob("*.js")))


def _chips(findings: Findings) -> str:
    goals = [f"<li>{text(goal(metric))}</li>" for metric in findings.objectives]
    limits = [f'<li class="limit">{text(limit_words(one))}</li>' for one in findings.constraints]
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
            tiles.append(tile(show(metric, best.value(metric), scale), note, "lead" if metric == ACCURACY else ""))
    tiles.append(tile(str(len(findings.front())), "networks on the front"))
    return "".join(tiles)
