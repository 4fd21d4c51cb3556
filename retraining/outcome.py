"""What became of a network: what the search predicted, what training gave, what a device measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from supernet import NetSpec

ACCURACY = "accuracy"
LATENCY = "latency "
"""Before the name of a device."""


class Outcome(NamedTuple):
    name: str
    spec: NetSpec
    results: Mapping[str, Any]
    """Of the run's last evaluation."""
    predicted: Mapping[str, float]
    """Accuracy in percent and milliseconds by `latency NAME`; empty where no search said anything."""
    measured: Mapping[str, float] = {}
    """Milliseconds by `latency NAME`."""

    @property
    def top1(self) -> float:
        return float(self.results["top1"])

    @property
    def params_m(self) -> float:
        return float(self.results["params_m"])

    def latencies(self) -> list[str]:
        """By which it was predicted."""
        return [metric for metric in self.predicted if metric.startswith(LATENCY)]
