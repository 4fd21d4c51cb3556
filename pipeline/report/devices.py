"""How well each device's table predicts: in words, and by its pictures."""

from __future__ import annotations

from typing import Any

from search.results.markup import text
from supernet.values import counted

from .found import Found
from .markup import card, heading, note, picture, section
from .reader import number

UNKNOWN = "How well it predicts has not been judged."


def devices(found: Found) -> str:
    names = [folder.name for folder in found.reader.folders("tables")]
    names += [name for name in found.tables if name not in names]
    if not names:
        return ""
    lede = (
        "A table holds what every block of the space takes on a device. What a network takes is the sum over its "
        "blocks, fitted to whole networks that were measured too."
    )
    return section("latency", "Latency", lede, *(_device(found, name) for name in names))


def _device(found: Found, name: str) -> str:
    reader, folder = found.reader, f"tables/{name}"
    fit = reader.json(f"{folder}/fit.json")
    known = found.tables.get(name)
    what = str(fit.get("device") or ("" if known is None else known.collection))
    if not fit and known is None:
        return card(heading(name), note("This device has not been measured yet."))
    blocks = picture(
        reader, f"{folder}/blocks.svg", f"What each kind of block takes on {name}, by width and map", "wide"
    )
    judged = picture(reader, f"{folder}/fit.svg", f"Predicted over measured latency of whole networks on {name}")
    sentences = fit_in_words(fit) if fit else [UNKNOWN]
    words = "".join(f"<p>{text(sentence)}</p>" for sentence in sentences)
    head = f"<div>{heading(name)}{note(f'{what}{_holds(found, name)}')}{words}</div>"
    return card(f'<div class="pictures">{head}{judged}{blocks}</div>')


def _holds(found: Found, name: str) -> str:
    table = found.tables.get(name)
    if table is None:
        return ""
    networks = counted(len(table.latencies.networks), "whole network")
    return f"; {len(table.latencies.slopes):,} units and {networks} measured"


def fit_in_words(fit: dict[str, Any]) -> list[str]:
    """Sentences on what `latency_lut validate --json` says."""
    names = ("networks", "mape", "worst", "within_5", "spearman", "sum_mape")
    networks, mape, worst, within, order, bare = (number(fit, name) for name in names)
    words = []
    if networks is not None and mape is not None:
        how = "each predicted from the others" if fit.get("held_out") == "one at a time" else "held out of the fit"
        words.append(f"Of {networks:,.0f} whole networks, {how}, predictions are off by {_percent(mape)} on average")
        words[-1] += f", by {_percent(worst)} at worst" if worst is not None else ""
        words[-1] += f"; {_percent(within, 0)} are within 5 %" if within is not None else ""
    if order is not None:
        words.append(f"Their order is right to a rank correlation of {order:.3f} (1 is perfect)")
    if bare is not None:
        words.append(f"The bare sum of the blocks would be off by {_percent(bare)}")
    return [f"{one}." for one in words] or [UNKNOWN]


def _percent(share: float, decimals: int = 1) -> str:
    return f"{100 * share:.{decimals}f} %"
