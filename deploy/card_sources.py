"""How a network was found and how fast it is, for a card: from the folder of a search, from a measurement."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

from supernet import NetSpec, SpecError, load_spec
from supernet.values import counted, first_line, printable

from .errors import DeployError

CONFIG, FRONT = "config.yaml", "front.csv"
_PLACE = re.compile(r"(?<![\w./~])~?/(?:[^\s,\]}'\"]+/)+")
"""The folders before the name of a file, which are nobody's business."""
_MAY_DIFFER = ("num_classes", "in_chans", "resolution", "distilled")


def how_found(folder: Path, spec: NetSpec) -> tuple[list[str], list[tuple[str, str]]]:
    """Lines on the search and the network's place in it, and its predicted latencies. Raises DeployError."""
    here = printable(str(folder))
    for name in (CONFIG, FRONT):
        if not (folder / name).is_file():
            raise DeployError(f"{here} is no folder of search.py with results: {name} is missing")
    try:
        return _read(folder, here, spec)
    except DeployError:
        raise
    except OSError as error:
        raise DeployError(f"{here} can't be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise DeployError(f"{here}: its {FRONT} is damaged: {first_line(error)}") from None


def _read(folder: Path, here: str, spec: NetSpec) -> tuple[list[str], list[tuple[str, str]]]:
    with (folder / FRONT).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    row = next((row for row in rows if _is_same(folder / str(row.get("file")), spec)), None)
    config = _PLACE.sub("", (folder / CONFIG).read_text(encoding="utf-8").strip())
    lines = [f"By `search.py`, among the networks of one supernet:\n\n```yaml\n{config}\n```\n"]
    if row is None:
        raise DeployError(f"{here}: this network is not on its front of {len(rows)}")
    best = ", and the most accurate within the constraints" if row.get("best") == "yes" else ""
    lines.append(
        f"It is number {row['rank']} of {len(rows)} on the front{best}. On the supernet's weights its accuracy was "
        f"{float(row['accuracy %']):.2f} %."
    )
    latencies = []
    for column, value in row.items():
        if column.startswith("latency ") and column.endswith(" ms") and value:
            where = column.removeprefix("latency ").removesuffix(" ms")
            if not where.endswith((" low", " high")):
                latencies.append((f"predicted for {where}", _with_interval(float(value), row, f"latency {where}")))
    return lines, latencies


def measured_latency(path: Path) -> tuple[str, str]:
    """What `python -m latency_lut bench MODEL --json` printed for this network alone. Raises DeployError."""
    here = printable(str(path))
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        facts = [(row["device"], float(row["ms"]), float(row["low_ms"]), float(row["high_ms"])) for row in rows]
    except OSError as error:
        raise DeployError(f"{here} can't be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise DeployError(f"{here} is not what `python -m latency_lut bench MODEL --json` prints") from None
    if len(facts) != 1:
        raise DeployError(f"{here} has {len(facts)} measurements; it must have one, that of this network")
    device, ms, low, high = facts[0]
    return f"measured on {_device_words(device)}", f"{ms:.3g} ms (quartiles {low:.3g} to {high:.3g})"


def _is_same(file: Path, spec: NetSpec) -> bool:
    """But for what training may change."""
    try:
        found = load_spec(file)
    except (SpecError, OSError):
        return False
    return found.with_(**{name: getattr(spec, name) for name in _MAY_DIFFER}) == spec


def _with_interval(value: float, row: dict[str, Any], metric: str) -> str:
    low, high = row.get(f"{metric} low ms"), row.get(f"{metric} high ms")
    interval = f" ({float(low):.3g} to {float(high):.3g})" if low and high else ""
    return f"{value:.3g} ms{interval}"


def _device_words(device: Any) -> str:
    if not isinstance(device, dict):
        return str(device)
    words = [str(device[name]) for name in ("model", "runtime", "dtype") if name in device]
    if isinstance(device.get("threads"), int):
        words.append(counted(device["threads"], "thread"))
    return printable(", ".join(words))
