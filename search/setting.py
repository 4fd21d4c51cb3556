"""From the options of a search to its problem: space, tables, objectives and constraints, checked before it starts."""

from __future__ import annotations

from pathlib import Path

from latency_lut.lookup import LatencyTable
from supernet import Space, SpecError, load_space
from supernet.values import did_you_mean, printable, show
from training.supernet_folder import read_setting

from .config import SearchConfig
from .costs import Costs, Efficiency
from .measured import this_device
from .problem import ACCURACY, Problem, parse_constraint


def make_problem(config: SearchConfig) -> Problem:
    """SpecError or TableError, with the option that is wrong, what it should be, or the command that helps."""
    space = _space(config)
    tables = _tables(config)
    if ACCURACY not in config.objectives:
        raise SpecError("objectives", f"{ACCURACY} must be among them")
    if len(set(config.objectives)) < len(config.objectives):
        raise SpecError("objectives", "a metric is there twice")
    constraints = []
    for index, text in enumerate(config.constraints):
        try:
            constraints.append(parse_constraint(text))
        except SpecError as error:
            raise error.under(f"constraints[{index}]") from None
    if config.workers.where == "here" and config.workers.number > 1:
        raise SpecError("workers.number", f"{config.workers.number} are actors of Ray: set workers.where=ray for them")
    if config.measure:
        if config.measure not in tables:
            raise SpecError("measure", f"{show(config.measure)} is no table, {did_you_mean(config.measure, tables)}")
        this_device(tables[config.measure].collection.device, config.measure)
    return Problem(Costs(space, tables), config.objectives, constraints, _efficiency(config))


def _space(config: SearchConfig) -> Space:
    if bool(config.supernet) == bool(config.accuracy.function):
        raise SpecError("supernet", "the folder of a trained supernet is needed, or accuracy.function instead of one")
    if config.accuracy.function and config.accuracy.halving:
        raise SpecError("accuracy.halving", "a function has no images of which a share could do; leave it at 0")
    if not config.supernet:
        if not config.space:
            raise SpecError("space", "is missing: without a supernet, the name or file of a space is needed")
        return _named_space(config.space)
    try:
        settings, space = read_setting(Path(config.supernet))
    except SpecError as error:
        raise SpecError("supernet", str(error)) from None
    if config.space:
        asked = _named_space(config.space).with_(num_classes=space.num_classes)
        if asked.with_(name="") != space.with_(name=""):
            raise SpecError("space", f"{printable(config.space)} is not the space of the supernet; leave it out")
    return space.with_(name=Path(settings.space).stem)


def _named_space(name: str) -> Space:
    try:
        return load_space(name)
    except SpecError as error:
        raise SpecError("space", str(error)) from None


def _tables(config: SearchConfig) -> dict[str, LatencyTable]:
    found: dict[str, LatencyTable] = {}
    for index, one in enumerate(config.tables):
        if not one.name.strip() or one.name != " ".join(one.name.split()):
            raise SpecError(f"tables[{index}].name", f"{show(one.name)} is no name of a device")
        if one.name in found:
            raise SpecError(f"tables[{index}].name", f"{show(one.name)} is there twice")
        try:
            found[one.name] = LatencyTable(one.file, one.device or None)
        except SpecError as error:
            raise error.under(f"tables[{index}]") from None
    return found


def _efficiency(config: SearchConfig) -> Efficiency | None:
    one = config.efficiency
    if one is None:
        return None
    if not len(one.metrics) == len(one.units) == len(one.alphas) > 0:
        raise SpecError("efficiency", "metrics, units and alphas must be equally many, at least one")
    if len(set(one.metrics)) < len(one.metrics):
        raise SpecError("efficiency.metrics", f"a metric is there twice: {', '.join(one.metrics)}")
    return Efficiency(dict(zip(one.metrics, one.units, strict=True)), dict(zip(one.metrics, one.alphas, strict=True)))
