"""What can be known to be wrong before hours of training: the budget, tables, networks, and who is there to measure."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from latency_lut.command import protocol_of
from latency_lut.lookup import LatencyTable
from latency_lut.protocol import Protocol
from latency_lut.units import space_units
from search.costs import COUNTED, LATENCY, SIZE, Costs
from search.feasible import Feasible
from search.problem import ACCURACY, SCORE, Constraint, Problem, parse_constraint
from supernet import SpecError, load_space, load_spec
from supernet.values import UserError, did_you_mean, printable, show
from training import optimization
from training.config import RunConfig
from training.data.sources import data_directory
from training.reading import read_network_config
from training.recipes import VARIANTS, with_variant

from .config import DeviceConfig, PipelineConfig
from .reading import DIGITS, Pipeline
from .stages import BEST, FRONT, table_of

ON_A_MAC = ("coreml", "iphone")


def check(pipeline: Pipeline, *, with_images: bool = True) -> None:
    """UserError, in one line. Where tables alone are measured, the images need not be there."""
    shared = pipeline.shared
    if with_images and shared.data.source != "digits":
        data_directory(shared.data.path)
    if shared.data.source == "digits" and 0 < shared.data.num_classes < DIGITS:
        raise SpecError("data.num_classes", f"{shared.data.num_classes} is too few: the digits have {DIGITS} classes")
    limits = [_limit(text, f"budget[{index}]", pipeline) for index, text in enumerate(shared.budget)]
    for index, metric in enumerate(pipeline.search.objectives):
        _check_metric(metric, f"search.objectives[{index}]", pipeline)
    if pipeline.search.measure and pipeline.search.measure not in _names(shared):
        raise SpecError("search.measure", f"{show(pipeline.search.measure)} is no device of this config")
    for index, device in enumerate(shared.devices):
        if device.table:
            _check_table(device, f"devices[{index}]", pipeline)
        else:
            _check_protocol(device, f"devices[{index}]")
    _check_reachable(pipeline, limits)
    _check_training(pipeline)


def check_measuring(devices: Iterable[DeviceConfig], out: Path) -> None:
    """Who is measured for the first time must be within reach."""
    for device in devices:
        if table_of(device, out).exists():
            continue
        if device.by == "cuda" and not torch.cuda.is_available():
            raise UserError(f"{device.name}: cuda is not here: PyTorch sees no GPU; onnxruntime or torch would run")
        if device.by in ON_A_MAC and sys.platform != "darwin":
            raise UserError(
                f"{device.name}: {device.by} is measured from a Mac, and this is none. Run there `--only tables`, or "
                "name a table that was measured elsewhere: devices.table (docs/your_iphone.md); without a Mac, "
                "`--only supernet` trains until then"
            )


def _check_protocol(device: DeviceConfig, where: str) -> None:
    try:
        protocol_of(device.protocol, Protocol())
    except SpecError as error:
        raise SpecError(f"{where}.protocol", error.message) from None


def _names(shared: PipelineConfig) -> list[str]:
    return [device.name for device in shared.devices]


def _limit(text: str, where: str, pipeline: Pipeline) -> Constraint:
    try:
        limit = parse_constraint(text)
    except SpecError as error:
        raise error.under(where) from None
    _check_metric(limit.metric, where, pipeline)
    return limit


def _check_metric(metric: str, where: str, pipeline: Pipeline) -> None:
    names = _names(pipeline.shared)
    known = [ACCURACY, *COUNTED, SIZE, *(LATENCY + name for name in names)]
    if pipeline.search.efficiency is not None:
        known.append(SCORE)
    if metric in known:
        return
    if metric.startswith(LATENCY):
        name = metric.removeprefix(LATENCY)
        raise SpecError(where, f"none of `devices` has the name {show(name)}, {did_you_mean(name, names)}")
    raise SpecError(where, f"the metric {show(metric)} is not known, {did_you_mean(metric, known)}")


def _check_table(device: DeviceConfig, where: str, pipeline: Pipeline) -> None:
    """It has to know every unit of the space; of the heads only where it is known how many classes the images have."""
    try:
        table = LatencyTable(device.table, device.device or None)
    except SpecError as error:
        raise error.under(where) from None
    space = load_space(pipeline.shared.space).with_(num_classes=pipeline.classes)
    asked = [unit for unit in space_units(space) if pipeline.classes or unit.part != "head"]
    missing = [unit for unit in asked if not table.knows(unit)]
    if missing:
        raise SpecError(
            f"{where}.table",
            f"{printable(device.table)} lacks {len(missing)} of {len(asked)} parts of the space, such as {missing[0]}; "
            "plan the space that is trained, supernet/space.yaml in the folder of the pipeline (docs/your_iphone.md)",
        )


def _check_training(pipeline: Pipeline) -> None:
    """All that trains, by the recipe that it gets."""
    names, beside = {BEST, FRONT}, pipeline.shared.networks.beside
    for index, network in enumerate(beside):
        _check_network(network, f"networks.beside[{index}]", names)
    _check_optimization("supernet", pipeline.supernet)
    for network in ("any", *beside):
        recipe = with_variant(pipeline.recipe, network) | {"spec": network}
        has_variant = network in (pipeline.recipe.get(VARIANTS) or {})
        section = f"retrain.{VARIANTS}.{network}" if has_variant else "retrain"
        _check_optimization(section, read_network_config(recipe, (), section))
    launch = pipeline.shared.launch
    if launch and shutil.which(launch[0]) is None:
        raise SpecError("launch", f"there is no program {show(launch[0])}")


def _check_optimization(section: str, config: RunConfig) -> None:
    try:
        optimization.check(config.optimizer, config.schedule)
    except SpecError as error:
        raise error.under(section) from None


def _check_network(network: str, where: str, names: set[str]) -> None:
    """Each has a folder of its own."""
    try:
        load_spec(network)
    except SpecError as error:
        raise SpecError(where, str(error)) from None
    name = Path(network).stem
    if name in names:
        raise SpecError(where, f"another network has the folder networks/{printable(name)} already")
    names.add(name)


def _check_reachable(pipeline: Pipeline, limits: Iterable[Constraint]) -> None:
    """Sizes are known without a device: a space that has no network so small is found out now. How many classes the
    images have is not known yet, so it is asked for one."""
    known = [one for one in limits if one.at_most and one.metric in (*COUNTED, SIZE)]
    if not known:
        return
    space = load_space(pipeline.shared.space).with_(num_classes=pipeline.classes or 1)
    problem = Problem(Costs(space), (ACCURACY,), known)
    try:
        Feasible(problem).check(np.random.default_rng(0))
    except SpecError as error:
        raise SpecError("budget", error.message) from None
