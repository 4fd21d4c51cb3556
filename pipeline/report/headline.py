"""What was found, at a glance: the network's figures, and whether they keep the budget."""

from __future__ import annotations

from deploy.files import content_bytes
from search.costs import LATENCY, show, show_exactly
from search.problem import ACCURACY, Constraint
from search.results.findings import limit_words
from search.results.markup import text, tile
from supernet.values import printable

from .found import Found, Trained
from .markup import section
from .offers import package_files, size_in_words

NARROW = "\N{NO-BREAK SPACE}"


def headline(found: Found) -> str:
    best = found.best
    if best is None:
        return section("found", "Nothing found yet", "The search has not ended with a network within the budget.")
    title = "The network that was found" if best.run else "The network that was found, not trained yet"
    tiles = f'<ul class="tiles">{"".join(_tiles(found, best))}</ul>'
    return section("found", title, _lede(found, best), tiles, _budget(found, best))


def _lede(found: Found, best: Trained) -> str:
    spec, blocks = best.spec, sum(len(stage.blocks) for stage in best.spec.stages)
    height, width = spec.size
    images = f"images of {height} \N{MULTIPLICATION SIGN} {width} pixels and {spec.num_classes:,} classes"
    words = f"Of the family {spec.family}: {len(spec.stages)} stages with {blocks} blocks, for {images}."
    if found.search is not None and found.search.best is not None:
        evaluated = len(found.search.columns[ACCURACY])
        words += f" It is network {found.search.best} of the {evaluated:,} that the search evaluated."
    return words


def _tiles(found: Found, best: Trained) -> list[str]:
    seen = None if found.search is None else found.search.of_best(ACCURACY)
    if best.accuracy is not None:
        said = f"; {_inline(ACCURACY, seen)} as the search saw it" if seen is not None else ""
        tiles = [tile(show(ACCURACY, best.accuracy), f"top-1, trained{said}", "lead")]
    else:
        tiles = [] if seen is None else [tile(show(ACCURACY, seen), "top-1 as the search saw it", "lead")]
    tiles += [_latency(best, metric) for metric in best.costs if metric.startswith(LATENCY)]
    tiles.append(tile(show("params", best.costs["params"]), "parameters"))
    tiles.append(tile(show("macs", best.costs["macs"]), "multiply-accumulates"))
    for file in package_files(found.reader.folder):
        tiles.append(tile(size_in_words(content_bytes(file)), printable(file.name)))
    return tiles


def _latency(best: Trained, metric: str) -> str:
    interval, measured = best.intervals[metric], best.measured.get(metric)
    around = f", {interval.low:.3g} to {_inline(metric, interval.high)}" if interval.is_known() else ""
    said = "" if measured is None else f"; measured {_inline(metric, measured)}"
    return tile(_figure(metric, best.costs[metric]), f"{printable(metric)}, predicted{around}{said}")


def _figure(metric: str, value: float) -> str:
    """Predictions are good for three digits at most."""
    return f"{value:.3g} ms" if metric.startswith(LATENCY) else show(metric, value)


def _inline(metric: str, value: float) -> str:
    return _figure(metric, value).replace(" ", NARROW)


def _budget(found: Found, best: Trained) -> str:
    if not found.budget:
        return ""
    return f'<ul class="budget" aria-label="The budget">{"".join(_kept(best, limit) for limit in found.budget)}</ul>'


def _kept(best: Trained, limit: Constraint) -> str:
    value = best.value(limit.metric)
    if value is None:
        state, kind = "not known", "unknown"
    else:
        is_kept = value <= limit.limit if limit.at_most else value >= limit.limit
        figure = _figure(limit.metric, value)
        if value != limit.limit and figure == _figure(limit.metric, limit.limit):
            figure = show_exactly(limit.metric, value)
        state = f"{'kept' if is_kept else 'broken'}: {figure}"
        kind = "kept" if is_kept else "broken"
    return f'<li class="{kind}"><b>{text(limit_words(limit))}</b><span>{text(state)}</span></li>'
