"""What a search found, as plain values: all that its results are written from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from supernet import NetSpec
from supernet.values import printable

from ..costs import Scale, scale
from ..problem import ACCURACY, Constraint, is_maximised


class Interval(NamedTuple):
    """Where a value lies with the certainty that its table states, in the value's own unit."""

    low: float
    high: float

    def is_known(self) -> bool:
        return math.isfinite(self.low) and math.isfinite(self.high)


@dataclass(frozen=True)
class Evaluated:
    """A network whose accuracy was evaluated. `index` counts evaluations from 0, and is how people name the network."""

    index: int
    code: tuple[int, ...]
    accuracy: float
    """In percent."""
    metrics: Mapping[str, float]
    """All others."""
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    """By metric, such as `latency iphone13`; those that are not finite are taken for unknown."""
    on_front: bool = False
    feasible: bool = True
    spec: NetSpec | None = None
    """Every network of the front has one; of the others, those that have one can be looked at in the report."""

    def value(self, metric: str) -> float:
        return self.accuracy if metric == ACCURACY else self.metrics[metric]

    def interval(self, metric: str) -> Interval | None:
        found = self.intervals.get(metric)
        return found if found is not None and found.is_known() else None


@dataclass(frozen=True)
class Published:
    """A published network that lies in the space."""

    name: str
    spec: NetSpec
    metrics: Mapping[str, float]
    accuracy: float | None = None
    """As the search evaluates accuracies; None if it didn't. Never the authors' figure, which would not compare."""

    def value(self, metric: str) -> float | None:
        return self.accuracy if metric == ACCURACY else self.metrics[metric]


@dataclass(frozen=True)
class Batch:
    """How far the search was after a batch of evaluations."""

    evaluations: int
    seconds: float
    """Of evaluating, since the search began."""
    hypervolume: float | None = None
    best_feasible: float | None = None
    """The best accuracy within the constraints so far; None before there is one."""
    tau: float | None = None
    """Kendall's tau of the predictor; None without one."""


@dataclass(frozen=True)
class Comparison:
    """The best network's latency as predicted and as measured on a device."""

    metric: str
    predicted: float
    measured: float
    predicted_interval: Interval | None = None
    measured_interval: Interval | None = None
    """The spread of the measurements."""
    how: str = ""
    """What was measured, in words."""


@dataclass(frozen=True)
class Findings:
    """Made anew for every writing. `rows` are in the order of their indices, which have no gaps."""

    space: str
    objectives: tuple[str, ...]
    constraints: tuple[Constraint, ...]
    metrics: tuple[str, ...]
    """All but accuracy."""
    rows: tuple[Evaluated, ...]
    best: int | None
    """The index of the best network that keeps all constraints."""
    best_reason: str
    """Why it is the best, or why there is none."""
    command: str
    """Empty where the search was not started by one."""
    config: str
    """The YAML file of the search as it was used."""
    seed: int
    seconds: float
    method: str = ""
    published: tuple[Published, ...] = ()
    history: tuple[Batch, ...] = ()
    versions: Mapping[str, Any] = field(default_factory=dict)
    """As `training.environment.environment` gives them."""
    comparisons: tuple[Comparison, ...] = ()
    is_finished: bool = True

    def __post_init__(self) -> None:
        assert [row.index for row in self.rows] == list(range(len(self.rows))), "rows are not in order"
        assert all(row.spec is not None for row in self.rows if row.on_front), "a network of the front has no spec"
        asked = {*self.objectives, *(constraint.metric for constraint in self.constraints)}
        assert asked <= {*self.all_metrics}, "a metric that is asked for is missing"
        best = self.best_row()
        assert best is None or (best.feasible and best.spec is not None), "the best network breaks a constraint"

    @property
    def all_metrics(self) -> tuple[str, ...]:
        return (ACCURACY, *self.metrics)

    @property
    def cost_metrics(self) -> tuple[str, ...]:
        """What accuracy is paid with: the other objectives, else what is constrained, else parameters."""
        asked = [metric for metric in self.objectives if metric != ACCURACY]
        asked = asked or [constraint.metric for constraint in self.constraints if constraint.metric != ACCURACY]
        return tuple(dict.fromkeys(asked)) or self.metrics[:1]

    def scale(self, metric: str) -> Scale:
        """Of all that is shown of a metric together."""
        shown = [row.value(metric) for row in self.rows] + [one.metrics.get(metric, 0.0) for one in self.published]
        return scale(metric, max(filter(math.isfinite, shown), default=math.inf))

    def axis_title(self, metric: str) -> str:
        """A metric and its unit, such as `params, M`."""
        unit = self.scale(metric).unit
        return f"{metric}, {unit}" if unit else metric

    def front(self) -> list[Evaluated]:
        """From the most accurate to the least; of equal ones, the smallest first."""
        found = [row for row in self.rows if row.on_front]
        return sorted(found, key=lambda row: (-row.accuracy, row.metrics.get("params", 0.0), row.index))

    def best_row(self) -> Evaluated | None:
        return None if self.best is None else self.rows[self.best]


def spec_file(rank: int, row: Evaluated) -> str:
    """Such as `003_71.25_4.123M.yaml`: rank, accuracy in percent, parameters."""
    return f"{rank:03d}_{row.accuracy:.2f}_{row.metrics['params'] / 1e6:.3f}M.yaml"


def limit_words(constraint: Constraint) -> str:
    """Such as `params ≤ 7 M`."""
    return printable(str(constraint)).replace("<=", "≤").replace(">=", "≥")


def goal(metric: str) -> str:
    return f"{'maximise' if is_maximised(metric) else 'minimise'} {metric}"


def duration(seconds: float) -> str:
    """Such as `1 h 12 min`; the smaller of the two units is left out where it is nothing."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s" if seconds >= 10 else f"{seconds:.1f} s"
    large, small = ("h", "min") if whole >= 3600 else ("min", "s")
    whole = round(whole / 60) if whole >= 3600 else whole
    first, second = divmod(whole, 60)
    return f"{first} {large} {second} {small}" if second else f"{first} {large}"
