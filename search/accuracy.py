"""How good a network is: on the weights of a supernet, or as a Python function of the user's says."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from torch import Tensor

from supernet import NetSpec, Space, SpecError
from supernet.options import Size
from supernet.values import counted, first_line, printable, show
from training.data import open_data
from training.evaluation import evaluate_member
from training.precision import set_up
from training.processes import device_for
from training.run_folder import read_setting, read_supernet

from .config import AccuracyConfig

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
        images = max(1, math.ceil(task.share * self.images))
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


class FunctionJudge:
    """`module:name`: a function from a list of specs to a list of accuracies."""

    def __init__(self, where: str) -> None:
        self.function = find_function(where)

    def __call__(self, tasks: list[Task]) -> list[float]:
        found = self.function([task.spec for task in tasks])
        try:
            accuracies = [float(accuracy) for accuracy in found]
        except (TypeError, ValueError):
            accuracies = []
        if len(accuracies) != len(tasks):
            raise SpecError("accuracy.function", f"it gave {show(found)} for {counted(len(tasks), 'spec')}")
        return accuracies


def find_function(where: str) -> Callable[[list[NetSpec]], Sequence[float]]:
    module, colon, name = where.partition(":")
    if not colon or not module or not name:
        raise SpecError("accuracy.function", f"{show(where)} is not of the form module:name")
    if "" not in sys.path:
        sys.path.insert(0, "")  # a module beside the config, as `python -m` would find it
    try:
        found: Any = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise SpecError("accuracy.function", f"{show(where)} can't be found: {first_line(error)}") from None
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
        file = inspect.getsourcefile(find_function(config.function))
        return found | ({"function": _hash(Path(file).read_bytes())} if file else {})
    settings, _ = read_setting(Path(run))
    images = [format_options(part) for part in (settings.data, settings.augment, settings.precision)]
    _, checkpoint = read_supernet(Path(run))
    return found | {
        "supernet": _hash(checkpoint.read_bytes()),
        "images": _hash("\n".join([*images, str(settings.seed)]).encode()),
    }


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _first(batches: Batches, images: int) -> Iterator[tuple[Tensor, Tensor]]:
    for inputs, labels in batches:
        if images <= 0:
            return
        yield inputs[:images], labels[:images]
        images -= len(labels)
