"""What the search showed on its own page: every network that it evaluated, in the words of that page's scripts."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from search.costs import LATENCY
from search.problem import ACCURACY
from search.results.findings import Interval
from search.results.markup import data_in

from .reader import Reader

PAGE = "search/report.html"
Index = Annotated[int, msgspec.Meta(ge=0)]
Ends = tuple[float | None, float | None]


class Metric(msgspec.Struct):
    name: str
    shown: str
    unit: str
    factor: float
    maximised: bool


class Limit(msgspec.Struct, rename="camel"):
    metric: str
    limit: float
    at_most: bool
    words: str


class Measured(msgspec.Struct):
    metric: str
    measured: float


class Drawn(msgspec.Struct):
    blocks: list[dict[str, Any]]
    words: list[str]


class Published(msgspec.Struct):
    name: str
    values: dict[str, float | None]
    network: dict[str, Any]


class Searched(msgspec.Struct):
    """See `search.results.page_data`, which makes it."""

    metrics: list[Metric]
    axes: tuple[str, str]
    constraints: list[Limit]
    columns: dict[str, list[float | None]]
    intervals: dict[str, list[Ends | None]]
    infeasible: list[Index]
    front: list[Index]
    files: list[str]
    best: Index | None
    networks: dict[str, dict[str, Any]]
    published: list[Published]
    drawings: Drawn
    comparisons: list[Measured]

    def __post_init__(self) -> None:
        names = {metric.name for metric in self.metrics}
        rows = {len(column) for column in self.columns.values()}
        known = min(rows, default=0)
        indices = [*self.front, *self.infeasible, *([] if self.best is None else [self.best])]
        is_whole = len(rows) == 1 and names == set(self.columns) and ACCURACY in names and set(self.axes) <= names
        if not is_whole or len(self.files) != len(self.front) or any(index >= known for index in indices):
            raise ValueError("its figures are not those of one search")

    def latencies(self) -> set[str]:
        """Of which the best one's is known."""
        return {name for name in self.columns if name.startswith(LATENCY) and self.of_best(name) is not None}

    def of_best(self, metric: str) -> float | None:
        return None if self.best is None or metric not in self.columns else self.columns[metric][self.best]

    def best_latency(self, metric: str) -> tuple[float, Interval]:
        ms, ends = self.of_best(metric), None
        assert ms is not None
        assert self.best is not None
        if metric in self.intervals and self.best < len(self.intervals[metric]):
            ends = self.intervals[metric][self.best]
        low, high = ends or (None, None)
        unknown = float("nan")
        return ms, Interval(unknown if low is None else low, unknown if high is None else high)

    def measured(self) -> dict[str, float]:
        """Of the best one."""
        return {one.metric: one.measured for one in self.comparisons}


def read_search(reader: Reader) -> Searched | None:
    page = reader.text(PAGE)
    if not page:
        return None
    try:
        return msgspec.convert(data_in(page, "findings"), Searched)
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        reader.blame(PAGE, error)
        return None
