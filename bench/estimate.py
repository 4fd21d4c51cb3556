"""How far estimates are from published iPhone latencies, each made without any figure of the network's family.

    python bench/estimate.py            tables of forms, families, chips, sizes, intervals and the worst networks
    python bench/estimate.py --nested   also with the form chosen anew without each family (half a minute)

Nothing is measured here: the figures are those of latency_lut/estimate/published.json. `bias` is the median of
ln(estimate / figure), `by family` the mean over families of the mean |ln(estimate / figure)|: forms are chosen by it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from latency_lut.estimate.forms import BASELINES, CHOSEN, FORMS, Array
from latency_lut.estimate.intervals import covered_when_known, covered_when_new, published_errors
from latency_lut.estimate.model import Rows
from latency_lut.estimate.published import published
from latency_lut.estimate.validation import (
    Score,
    criterion,
    fitted,
    held_out,
    nested,
    published_data,
    score,
    spread_of,
)

Row = dict[str, Any]


def form_rows() -> Iterator[Row]:
    for name, form in FORMS.items():
        data, estimates = published_data(name), held_out(name)
        by_family = criterion(estimates, data, np.unique(data.family).tolist())
        rates = {term.name: round(float(rate), 5) for term, rate in zip(form.terms, fitted(name).rates, strict=True)}
        yield {"table": "forms", "form": name, **asdict(score(estimates, data.ms)), "by_family": by_family, "ms": rates}


def nested_row() -> Row:
    data = published_data(CHOSEN)
    estimates, choice = nested([name for name in FORMS if name not in BASELINES])
    chosen = {name: list(choice.values()).count(name) for name in dict.fromkeys(choice.values())}
    by_family = criterion(estimates, data, np.unique(data.family).tolist())
    found = asdict(score(estimates, data.ms))
    return {"table": "nested", "form": "chosen anew", **found, "by_family": by_family, "chosen": chosen}


def group_rows() -> Iterator[Row]:
    """All records, then parts of them."""
    data, estimates = published_data(CHOSEN), held_out(CHOSEN)
    with_source = held_out(CHOSEN, with_source=True)
    yield _group("all", "all", score(estimates, data.ms))
    yield _group("all", "all, with the source's offset", score(with_source, data.ms))
    yield _group("all", "one figure a network and chip", score(*_one_each(estimates)))
    known = published_errors(CHOSEN).known
    rows = ~np.isnan(known)
    yield _group(
        "all", "other networks of the family known", score(np.exp(-known[rows]) * data.ms[rows], data.ms[rows])
    )
    pixels = np.array([published().networks[record.network].resolution for record in published().records])
    parts: dict[str, dict[str, Rows]] = {
        "family": {name: data.family == name for name in np.unique(data.family).tolist()},
        "chip": {name: data.chip == name for name in np.unique(data.chip).tolist()},
        "chip, to 300 px": {
            name: (data.chip == name) & (pixels <= 300) for name in ("A14", "A15")
        },  # the others have too few
        "pixels": {"to 300": pixels <= 300, "above 300": pixels > 300},
        "source": {name: data.source == name for name in np.unique(data.source).tolist()},
    }
    for by, names in parts.items():
        for name, chosen in names.items():
            yield _group(by, name, score(estimates[chosen], data.ms[chosen]))


def _group(by: str, name: str, found: Score) -> Row:
    spearman = None if np.isnan(found.spearman) else found.spearman  # of a single figure
    return {"table": "groups", "by": by, "name": name, **asdict(found), "spearman": spearman}


def _one_each(estimates: Array) -> tuple[Array, Array]:
    data, records = published_data(CHOSEN), published().records
    place: dict[tuple[str, str], list[int]] = {}
    for index, record in enumerate(records):
        place.setdefault((record.network, str(data.chip[index])), []).append(index)
    pairs = [(float(np.median(estimates[rows])), float(np.median(data.ms[rows]))) for rows in place.values()]
    return np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])


def interval_rows() -> Iterator[Row]:
    errors = published_errors(CHOSEN)
    for coverage in (0.5, 0.8, 0.9):
        plain, batched = (np.exp(errors.for_new(kind, coverage)) for kind in (False, True))
        yield {
            "table": "intervals",
            "asked": coverage,
            "family_unknown": float(covered_when_new(CHOSEN, coverage).mean()),
            "family_known": float(covered_when_known(CHOSEN, coverage).mean()),
            "factors": [round(float(value), 2) for value in plain],
            "factors_with_heads": [round(float(value), 2) for value in batched],
        }


def spread_row(draws: int) -> Row:
    names = ("spearman", "median_error", "within_20")
    return {"table": "spread", **spread_of(held_out(CHOSEN), published_data(CHOSEN), names, draws)}


def worst_rows(number: int) -> Iterator[Row]:
    data, estimates, records = published_data(CHOSEN), held_out(CHOSEN), published().records
    for index in np.argsort(-np.abs(np.log(estimates / data.ms)))[:number]:
        record = records[index]
        about = {"network": record.network, "device": record.device, "source": record.source}
        yield {"table": "worst", **about, "figure_ms": record.ms, "estimate_ms": round(float(estimates[index]), 2)}


def rows(args: argparse.Namespace) -> Iterator[Row]:
    yield from form_rows()
    if args.nested:
        yield nested_row()
    yield from group_rows()
    yield spread_row(args.draws)
    yield from interval_rows()
    yield from worst_rows(args.worst)


HEADS = {
    "forms": f"{'form':<36}{'n':>5}{'Spearman':>10}{'median':>8}{'mean':>7}{'in 20%':>8}{'bias':>7}{'by family':>11}",
    "groups": f"{'estimates':<36}{'n':>5}{'Spearman':>10}{'median':>8}{'mean':>7}{'in 20%':>8}{'bias':>7}",
    "intervals": f"{'interval':<12}{'family unknown':>16}{'family known':>14}   factors (with heads), family unknown",
    "worst": f"{'network':<36}{'device':<20}{'source':<18}{'figure':>8}{'estimate':>10}",
}


def _line(row: Row) -> str:
    if row["table"] == "spread":
        parts = ("{} {:.3f} to {:.3f}".format(name, *limits) for name, limits in row.items() if name != "table")
        return "95 % over families drawn with replacement: " + ", ".join(parts)
    if row["table"] == "intervals":
        plain, batched = ("{} to {}".format(*row[key]) for key in ("factors", "factors_with_heads"))
        known, unknown = row["family_known"], row["family_unknown"]
        return f"{row['asked']:<12.0%}{unknown:>16.1%}{known:>14.1%}   {plain} ({batched})"
    if row["table"] == "worst":
        figures = f"{row['figure_ms']:>8.2f}{row['estimate_ms']:>10.2f}"
        return f"{row['network']:<36}{row['device']:<20}{row['source']:<18}{figures}"
    name = row["form"] if "form" in row else f"{row['by']}: {row['name']}" if row["by"] != "all" else row["name"]
    spearman = "-" if row["spearman"] is None else f"{row['spearman']:.3f}"
    line = (
        f"{name:<36}{row['number']:>5}{spearman:>10}{row['median_error']:>8.1%}{row['mean_error']:>7.0%}"
        f"{row['within_20']:>8.0%}{row['bias']:>+7.2f}"
    )
    if "by_family" in row:
        line += f"{row['by_family']:>11.3f}"
    if "chosen" in row:
        line += "  " + ", ".join(f"{name} {number}" for name, number in row["chosen"].items())
    if row.get("form") == CHOSEN:
        line += "  <- estimates are made with it"
    return line


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nested", action="store_true", help="also choose the form without each family")
    parser.add_argument("--worst", type=int, default=25, help="how many of the worst estimates to name (default 25)")
    parser.add_argument("--draws", type=int, default=2000, help="of families, for the 95 %% intervals (default 2000)")
    parser.add_argument("--json", action="store_true", help="one JSON object a row instead of tables")
    args = parser.parse_args(arguments)
    before = ""
    for row in rows(args):
        if args.json:
            print(json.dumps(row), flush=True)
            continue
        table = row["table"]
        if table != before and table in HEADS:
            print(f"\n{HEADS[table]}")
        before = table
        print(_line(row), flush=True)
    if not args.json:
        form, model = FORMS[CHOSEN], fitted(CHOSEN)
        rates = zip(form.terms, model.rates, strict=True)
        print("\nfitted to all: " + ", ".join(f"{term.name} {rate:.4g} ms/{term.unit}" for term, rate in rates))
        print("chips: " + ", ".join(f"{chip} {np.exp(value):.2f}" for chip, value in model.chips.items()))


if __name__ == "__main__":
    main()
