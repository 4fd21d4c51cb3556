"""Recalibrating a subnet's batch norms against evaluating it on the same images."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any

from bench.timing import Timed, in_turn
from supernet import Supernet
from training.calibration import calibrate
from training.evaluation import evaluate

from .setting import Setting, members


def compare_calibration(setting: Setting) -> Iterator[dict[str, Any]]:
    """Each time is that of many batches: half as many pairs as elsewhere will do."""
    space, precision = setting.load(), setting.precision
    net = Supernet(space).to(setting.device)
    batch = (setting.images(space), setting.labels(space))
    batches = [batch] * setting.calibration
    for name, spec in members(space, setting.random):
        subnet = net.subnet(spec)
        pair = (
            Timed(functools.partial(calibrate, subnet, batches, precision)),
            Timed(functools.partial(evaluate, subnet, batches, precision)),
        )
        in_turn([pair])
        found = in_turn(itertools.repeat(pair, max(setting.pairs // 2, 1)))
        about = {"member": name, "batches": setting.calibration, **setting.about(space)}
        yield {"table": "calibration", **about, **found.row("evaluation")}
