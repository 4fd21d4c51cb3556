"""What the supernet may cost, what others pay, and whether the rows of a benchmark keep to it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .memory import AS_MANY, LARGEST
from .passes import TRAINING

Row = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """The median of `ratio` over the rows of a table that have these values, for each space by itself."""

    name: str
    limit: float
    rows: dict[str, Any]

    def of(self, row: Row) -> bool:
        return all(row.get(key) == value for key, value in self.rows.items())


TARGETS = (
    Target("forward+backward", 1.03, {"table": "passes", "pass": TRAINING, "is_small": False}),
    Target("forward+backward, small batch", 1.10, {"table": "passes", "pass": TRAINING, "is_small": True}),
    Target("sandwich step", 1.05, {"table": "steps"}),
    Target("peak memory, largest member", 1.10, {"table": "memory", "static": LARGEST}),
    Target("peak memory, as many weights", 1.10, {"table": "memory", "static": AS_MANY}),
    Target("recalibration", 1.30, {"table": "calibration"}),
)

ELSEWHERE: tuple[Row, ...] = (
    {"system": "once-for-all MobileNetV3", "batch": 16, "pixels": 160, "training": "0.99-1.07", "forward": "1.01-1.06"},
    {"system": "AttentiveNAS", "batch": 16, "pixels": 160, "training": "1.03-1.07", "forward": "0.97-1.11"},
    {"system": "AutoFormer-T", "batch": 16, "pixels": 160, "training": "0.98-1.12", "forward": "1.04-1.11"},
    {"system": "once-for-all MobileNetV3", "batch": 1, "pixels": 96, "training": "1.20-1.36", "forward": "1.25-1.39"},
    {"system": "AttentiveNAS", "batch": 2, "pixels": 96, "training": "1.28-1.44", "forward": "1.16-1.20"},
)
"""Elastic against static passes, measured earlier on a machine of this kind, one CPU thread, each system's own code."""
CALIBRATION_ELSEWHERE = "once-for-all: 1.83 (2.67 s against 1.46 s)"
"""For 8 batches of 16 at 160 pixels."""


def results(rows: Iterable[Row]) -> list[Row]:
    """One row for each target and space that was measured."""
    rows, found = list(rows), []
    for space in dict.fromkeys(row["space"] for row in rows):
        for target in TARGETS:
            ratios = [row["ratio"] for row in rows if row["space"] == space and target.of(row)]
            if ratios:
                ratio = statistics.median(ratios)
                about = {"table": "targets", "space": space, "target": target.name}
                found.append({**about, "ratio": ratio, "limit": target.limit, "is_met": ratio <= target.limit})
    return found
