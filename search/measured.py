"""A network measured on this computer, beside what the table predicted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import deploy
from latency_lut.command import TOOL
from latency_lut.devices.base import Device
from latency_lut.devices.onnx_host import OnnxHost
from latency_lut.devices.torch_host import TorchHost
from latency_lut.exporting import FORMS
from latency_lut.items import Item, network
from latency_lut.measuring import measure
from latency_lut.table.collection import Collection
from latency_lut.table.latencies import Latencies, Latency
from latency_lut.table.store import Store
from latency_lut.table.stretches import slow_share
from supernet import NetSpec, SpecError
from supernet.values import UserError, counted

from .costs import LATENCY
from .problem import Problem
from .results import Comparison, Interval

logger = logging.getLogger("search")


def measured(problem: Problem, name: str, spec: NetSpec, predicted: float, out: Path) -> Comparison:
    """By the protocol of the table of that name. SpecError where that is not a table of this computer."""
    table = problem.costs.tables[name]
    device = this_device(table.collection.device, name)
    item, anchor = network(spec), table.anchor or network(problem.space.smallest())
    (out / "measured").mkdir(exist_ok=True)
    files = {one: _exported(one, device, out / "measured") for one in (item, anchor)}
    with Store(out / "measured" / "measured.sqlite", create=True) as store:
        collection = measure(
            [item],
            anchor,
            device,
            store,
            table.collection.protocol,
            lambda one: files[one],
            TOOL,
            looks_ms=table.looks_ms(anchor),
        )
        found = Latencies(store, collection).of(item)
        if slow_share(store.stretches(collection)):
            logger.warning("this computer is slower now than when the table %s was measured; so is the network", name)
    if found is None:
        raise SpecError("measure", "the network can't be measured here")
    return _comparison(problem, name, predicted, collection, found)


def measured_before(problem: Problem, name: str, spec: NetSpec, predicted: float, out: Path) -> Comparison | None:
    """What an earlier start has measured, in all rounds, of this network by this table's device and protocol."""
    table, file = problem.costs.tables[name], out / "measured" / "measured.sqlite"
    if not file.is_file():
        return None
    try:
        with Store(file) as store:
            for collection in store.collections():
                if (collection.device, collection.protocol) == (table.collection.device, table.collection.protocol):
                    found = Latencies(store, collection).of(network(spec))
                    if found is not None and found.bursts >= collection.protocol.rounds:
                        return _comparison(problem, name, predicted, collection, found)
    except UserError as error:
        logger.warning("what was measured before is not shown: %s", error)
    return None


def _comparison(problem: Problem, name: str, predicted: float, collection: Collection, found: Latency) -> Comparison:
    return Comparison(
        metric=LATENCY + name,
        predicted=predicted,
        measured=found.ms,
        predicted_interval=Interval(*problem.costs.tables[name].interval(predicted)),
        measured_interval=Interval(found.low_ms, found.high_ms),
        how=f"{collection}, {counted(collection.protocol.rounds, 'round')}",
    )


def this_device(facts: Mapping[str, object], name: str) -> Device:
    kind = facts.get("device")
    device: Device | None = None
    if kind == "onnxruntime":
        device = OnnxHost(int(str(facts["threads"])), str(facts["optimization"]))
    elif kind == "torch":
        device = TorchHost(int(str(facts["threads"])), str(facts.get("mode", "eager")), "cpu")
    if device is None:
        raise SpecError("measure", f"{name!r} is a table of {kind}, which is not this computer")
    differing = [key for key in facts if device.facts.get(key) != facts[key]]
    if differing:
        key = differing[0]
        there, here = facts[key], device.facts.get(key)
        raise SpecError("measure", f"{name!r} is a table of another computer: {key} is {there} there, {here} here")
    return device


def _exported(item: Item, device: Device, folder: Path) -> Path | None:
    if device.form is None:
        return None
    path = folder / f"{item.id}{FORMS[device.form]}"
    if not path.exists():
        write: dict[str, Callable[..., object]] = {
            "onnx": deploy.export_onnx,
            "torchscript": deploy.export_torchscript,
            "coreml": deploy.export_coreml,
        }
        write[device.form](item.module(), (1, *item.shape), path)
    return path
