"""Xcode's reports as rows of a table: of a collection of their own, as Xcode measures by a protocol of its own."""

from __future__ import annotations

from typing import Any

from ..command import TOOL
from ..devices.base import Facts
from ..items import Item
from ..mlperf import MlperfReport
from ..protocol import Burst, Protocol, summary
from ..table.placing import place_stretch
from ..table.store import Store
from .placement import KEY, placed_on

XCODE_PROTOCOL = Protocol(rounds=1, warm_up=0, burst_runs=1, burst_ms=0)
"""The same for all reports, so that they can be compared; how many predictions it was stands with each row."""


def store_report(store: Store, report: MlperfReport, item: Item) -> tuple[bool, Burst]:
    """Whether it is new. Several reports of a network are several rounds of it; the same one again changes nothing."""
    burst = summary(list(report.predict_ms))
    facts: Facts = {
        "device": "xcode report",
        "model": report.device_model,
        "system": report.os,
        "compute_units": report.compute_units,
        "dtype": "fp16",
    }
    query = "SELECT median_ms, low_ms, high_ms, runs FROM bursts WHERE collection = ? AND item = ?"
    with store.writing() as connection:
        collection = store.collection(facts, XCODE_PROTOCOL, TOOL)
        number = store.add_items([item])[item]
        known = connection.execute(query, (collection.id, number)).fetchall()
        if burst[:4] in known:
            return False, burst
        round_ = len(known)
        attempt = place_stretch(store, collection, round_, 0, "", (0.0, 0.0), "accepted")
        store.add_burst(collection, number, round_, attempt, burst, _more(report))
    return True, burst


def _more(report: MlperfReport) -> dict[str, Any]:
    more: dict[str, Any] = {"file": report.model}
    for name, samples in (("load_ms", report.load_ms), ("compile_ms", report.compile_ms)):
        more |= {name: summary(list(samples)).median_ms} if samples else {}
    if report.operations is not None:
        cost = report.cost or {}
        place = placed_on(report.operations, cost)
        more |= {"operations": report.operations, "cost": cost} | ({KEY: place} if place else {})
    return more
