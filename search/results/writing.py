"""The files of a search's results: each whole, and all usable at any moment, also while the search goes on."""

from __future__ import annotations

import csv
import functools
import io
import os
import re
from pathlib import Path

from supernet import NetSpec, format_spec
from supernet.values import printable
from supernet.whole_files import path_beside, write_whole

from ..costs import LATENCY, show
from ..problem import ACCURACY
from .findings import Evaluated, Findings, spec_file
from .picture import draw_front
from .report import report_html

_OURS = re.compile(r"\d{3,}_-?[\d.]+_[\d.]+M\.yaml")
_HALF = re.compile(r"\.(?P<whole>.+\.yaml)\.tmp-.*")


def write_results(findings: Findings, run: str | Path) -> None:
    """All files, in the folder `run`. The picture comes last: it alone needs matplotlib."""
    run = Path(run)
    write_networks(findings, run)
    write_whole(run / "report.html", report_html(findings))
    draw_front(findings, run / "front.svg")


def write_networks(findings: Findings, run: str | Path) -> None:
    """front/, front.csv and best.yaml: quick enough to be done after every batch.

    New networks come before old ones go, so that whoever stops in between has a front.
    """
    folder = Path(run) / "front"
    folder.mkdir(parents=True, exist_ok=True)
    there = {path.name for path in folder.iterdir()}
    files = {spec_file(rank, row): row for rank, row in enumerate(findings.front(), start=1)}
    for name, row in files.items():
        _write_changed(folder / name, spec_text(findings, row), name in there)
    write_whole(Path(run) / "front.csv", front_csv(findings))
    best = findings.best_row()
    if best is not None:
        write_whole(Path(run) / "best.yaml", spec_text(findings, best))
    else:
        (Path(run) / "best.yaml").unlink(missing_ok=True)
    _remove_stale(folder, there - set(files))


def _write_changed(path: Path, text: str, is_there: bool) -> None:
    """Whole, as `write_whole` does it, which would look through the folder for each file."""
    content = text.encode("utf-8")
    if is_there and path.read_bytes() == content:
        return
    beside = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def spec_text(findings: Findings, row: Evaluated) -> str:
    """The network as YAML, its figures in comments."""
    assert row.spec is not None
    lines = [f"network {row.index} of a search in the space {printable(findings.space)}"]
    if row.index == findings.best:
        lines.append(f"the best: {printable(findings.best_reason)}")
    lines.append(f"accuracy {show(ACCURACY, row.accuracy)}, as the search evaluated it")
    for metric in findings.metrics:
        interval = row.interval(metric)
        words = f"{printable(metric)} {show(metric, row.metrics[metric])}"
        if interval is not None:
            words += f" (interval {show(metric, interval.low)} to {show(metric, interval.high)})"
        lines.append(words)
    comment = "".join(f"# {line}\n" for line in lines)
    return comment + _yaml(row.spec)


@functools.lru_cache(maxsize=4096)
def _yaml(spec: NetSpec) -> str:
    """Ten milliseconds a network, and most of a front stays from batch to batch."""
    return format_spec(spec)


def front_csv(findings: Findings) -> str:
    """A row for each network of the front. Latencies are milliseconds, parameters and MACs are counted singly; codes
    are those of the space."""
    latencies = [metric for metric in findings.metrics if metric.startswith(LATENCY)]
    head = ["rank", "network", "best", "file", "accuracy %"]
    head += [printable(f"{metric} ms" if metric in latencies else metric) for metric in findings.metrics]
    head += [printable(f"{metric} {end} ms") for metric in latencies for end in ("low", "high")]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*head, "code"])
    for rank, row in enumerate(findings.front(), start=1):
        intervals = [row.interval(metric) for metric in latencies]
        table.writerow(
            [
                rank,
                row.index,
                "yes" if row.index == findings.best else "",
                f"front/{spec_file(rank, row)}",
                _plain(row.accuracy),
                *(_plain(row.metrics[metric]) for metric in findings.metrics),
                *(end for interval in intervals for end in (map(_plain, interval) if interval else ("", ""))),
                " ".join(map(str, row.code)),
            ]
        )
    return text.getvalue()


def _plain(value: float) -> str:
    """All of its digits, without `.0` where it is whole."""
    value = float(value)
    return str(int(value)) if value.is_integer() else repr(value)


def _remove_stale(folder: Path, names: set[str]) -> None:
    """What an earlier front left, also in the middle of a write. Files that have other names are somebody else's."""
    for name in names:
        if _OURS.fullmatch(name):
            (folder / name).unlink(missing_ok=True)
        elif half := _HALF.fullmatch(name):
            path_beside(folder / half["whole"])  # removes what no running process writes
