"""How good a network is: on the weights of a supernet, or as a Python function of the user's says."""

from __future__ import annotations

import functools
import hashlib
import importlib
import inspect
import math
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from torch import Tensor

from supernet import NetSpec, Space, SpecError
from supernet.options import Size
from supernet.values import UserError, counted, first_line, printable, show
from training.data import open_data
from training.evaluation import evaluate_member
from training.precision import set_up
from training.processes import device_for
from training.supernet_folder import read_setting, read_supernet

from .config import AccuracyConfig
from .workers import EvaluationError

KEPT_BYTES = 2**31
"""Decoded images are kept in memory up to here; beyond, they are read again for each network."""


class Task(NamedTuple):
    """A network, and on which share of the images it is judged."""

    spec: NetSpec
    share: float = 1.0


Judge = Callable[[list[Task]], Sequence[float]]
"""Accuracies in percent; the same for the same task, whoever asks."""

Batches = Iterable[tuple[Tensor, Tensor]]


class SupernetJudge:
    """Members of a trained supernet. Its images and their order are always the same."""

    def __init__(self, run: str, config: AccuracyConfig, overrides: Sequence[str] = ()) -> None:
        folder = Path(run)
        settings, self.space = read_setting(folder, overrides)
        if config.split == "held_out" and not settings.data.held_out:
            raise SpecError(
                "accuracy.split",
                f"{printable(run)} held no training images out (data.held_out is 0); accuracy.split=validation judges "
                "on the images that should be kept for the end",
            )
        self.config = config
        self.precision = set_up(settings.precision, device_for(settings.precision, 0))
        net, _ = read_supernet(folder)
        self.net = self.precision.place_net(net)
        self.data = open_data(settings.data, settings.augment, seed=settings.seed, in_chans=self.space.in_chans)
        self._kept: dict[tuple[str, Size], list[tuple[Tensor, Tensor]]] = {}
        self._room = KEPT_BYTES
        self.images = self.data.num_held_out if config.split == "held_out" else self.data.num_validation
        if config.images:
            self.images = min(self.images, config.images)

    def __call__(self, tasks: list[Task]) -> list[float]:
        return [self._judge(task) for task in tasks]

    def _judge(self, task: Task) -> float:
        images = images_on(task.share, self.images)
        scores = evaluate_member(
            self.net,
            task.spec,
            lambda size: self._batches("calibration", size),
            lambda size: _first(self._batches("judging", size), images),
            self.precision,
        )
        return scores.top1

    def _batches(self, what: str, size: Size) -> Batches:
        """Kept in memory when they were read the first time, as far as there is room."""
        if (what, size) in self._kept:
            return self._kept[what, size]
        if what == "calibration":
            found: Batches = self.data.calibration_batches(size, self.config.calibration_images)
            number = min(self.config.calibration_images, self.data.num_train)
        elif self.config.split == "held_out":
            found, number = self.data.held_out_batches(size), self.data.num_held_out
        else:
            found, number = self.data.validation_batches(size, self.config.images), self.images
        bytes_ = 4 * number * self.space.in_chans * size[0] * size[1]
        if bytes_ > self._room:
            return found
        self._room -= bytes_
        kept = self._kept[what, size] = list(found)
        return kept


def images_on(share: float, images: int) -> int:
    """How many of the images a share is."""
    return math.ceil(share * images)


def number_of_images(run: str, config: AccuracyConfig) -> int:
    """On which a supernet's networks are judged; 0 for a function, of which that is not known."""
    if config.function:
        return 0
    settings, space = read_setting(Path(run))
    if config.split == "held_out":
        number = settings.data.held_out
    else:
        number = open_data(settings.data, settings.augment, seed=settings.seed, in_chans=space.in_chans).num_validation
    return min(number, config.images) if config.images else number


class FunctionJudge:
    """`module:name`: a function, or whatever else can be called, from a list of specs to a list of accuracies."""

    def __init__(self, where: str) -> None:
        self.where, self.function = where, find_function(where)

    def __call__(self, tasks: list[Task]) -> list[float]:
        try:
            found: Any = self.function([task.spec for task in tasks])
            listed = list(found) if isinstance(found, Iterable) and not isinstance(found, str | bytes) else None
        except UserError:
            raise
        except Exception as error:
            raise EvaluationError(f"accuracy.function: {self.where} failed with {_reason(error)}") from error
        if listed is None or len(listed) != len(tasks):
            raise SpecError("accuracy.function", f"it gave {show(found)} for {counted(len(tasks), 'spec')}")
        return [_percentage(one) for one in listed]


def _percentage(one: Any) -> float:
    is_number = hasattr(one, "__float__") and not isinstance(one, bool | np.bool_)
    found = float(one) if is_number else math.nan
    if not 0 <= found <= 100:
        raise SpecError(
            "accuracy.function", f"it gave {show(one)}; an accuracy is a percentage, a number from 0 to 100"
        )
    return found


def _reason(error: BaseException) -> str:
    """What was raised, and where."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    words = first_line(error)
    name = type(error).__name__
    return f"{name}{where}" if words == name else f"{name}: {words}{where}"


def find_function(where: str) -> Callable[[list[NetSpec]], Sequence[float]]:
    module, colon, name = where.partition(":")
    if not colon or not module or not name:
        raise SpecError("accuracy.function", f"{show(where)} is not of the form module:name")
    if "" not in sys.path:
        sys.path.insert(0, "")  # the current folder, as `python -m` has it there
    try:
        found: Any = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise SpecError("accuracy.function", f"{show(where)} can't be found: {first_line(error)}") from None
    except Exception as error:
        raise SpecError("accuracy.function", f"{show(where)} can't be read: {_reason(error)}") from None
    if not callable(found):
        raise SpecError("accuracy.function", f"{show(where)} is no function")
    function: Callable[[list[NetSpec]], Sequence[float]] = found
    return function


def make_judge(run: str, config: AccuracyConfig) -> Judge:
    return FunctionJudge(config.function) if config.function else SupernetJudge(run, config)


def fingerprint(run: str, space: Space, config: AccuracyConfig) -> dict[str, str]:
    """What accuracies depend on: evaluations of anything else are never mixed with these."""
    from supernet import format_space
    from supernet.option_files import format_options

    # What is known on all images is known with halving, too, and in groups of any size.
    whole = msgspec.structs.replace(config, halving=0, at_once=1)
    found = {"space": _hash(format_space(space).encode()), "accuracy": format_options(whole)}
    if config.function:
        files = _sources(config.function)
        return found | ({"function": _hash(b"".join(file.read_bytes() for file in files))} if files else {})
    settings, _ = read_setting(Path(run))
    images = [format_options(part) for part in (settings.data, settings.augment, settings.precision)]
    _, checkpoint = read_supernet(Path(run))
    return found | {
        "supernet": _hash(checkpoint.read_bytes()),
        "images": _hash("\n".join([*images, str(settings.seed)]).encode()),
    }


def _sources(where: str) -> list[Path]:
    """The files that say what the function does: its own, and that of the module that names it."""
    function, module = find_function(where), importlib.import_module(where.partition(":")[0])
    while isinstance(function, functools.partial):
        function = function.func
    known: dict[Path, None] = {}
    for one in (function, type(function), module):
        try:
            file = inspect.getsourcefile(one)
        except TypeError:  # it is built into Python, or an object
            continue
        if file is not None and Path(file).is_file():
            known[Path(file).resolve()] = None
    return list(known)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _first(batches: Batches, images: int) -> Iterator[tuple[Tensor, Tensor]]:
    for inputs, labels in batches:
        if images <= 0:
            return
        yield inputs[:images], labels[:images]
        images -= len(labels)
