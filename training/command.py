"""What `train_supernet.py` does, and what its user reads when something is wrong: one line, and no traceback."""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from supernet import NetSpec, Space, SpecError, WeightsError, load_spec

from .checkpoint import CheckpointError
from .data import DataError, open_data
from .evaluation import evaluate_members
from .launching import launch
from .loop import DivergedError, Interrupted, train
from .precision import set_up
from .processes import ProcessesError, device_for
from .reading import load_config
from .run_folder import load_supernet, read_setting

_OURS = (SpecError, WeightsError, CheckpointError, DataError, DivergedError, ProcessesError)


def run_safely(command: Callable[[], None]) -> int:
    """The exit status: 2 for what a user can mend, 130 where the run was asked to stop, as is usual for signals."""
    try:
        command()
    except _OURS as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (Interrupted, KeyboardInterrupt):
        return 130
    except torch.OutOfMemoryError as error:
        print(f"error: out of GPU memory: {str(error).splitlines()[0]} Try a smaller data.batch_size.", file=sys.stderr)
        return 2
    return 0


def train_command(path: str, overrides: list[str], out: Path) -> None:
    launch(load_config(path, overrides), out, train)


def evaluate_command(args: argparse.Namespace) -> None:
    """JSON lines on standard output, one for each member."""
    folder: Path = args.evaluate
    config, space = read_setting(folder)
    members = list(_members(args, space))
    if not members:
        raise SpecError("--evaluate", "which members? --spec NAME, --random N or --extremes")
    device = device_for(config.precision, 0)
    precision = set_up(config.precision, device)
    data = open_data(config.data, config.augment, seed=config.seed, in_chans=space.in_chans)
    if args.split == "held_out" and not data.num_held_out:
        raise SpecError("--split", "the run held no images out: data.held_out is 0")
    net = load_supernet(folder, best=not args.last).to(device)
    images = data.held_out_batches if args.split == "held_out" else data.validation_batches
    rows = evaluate_members(
        net,
        members,
        lambda size: data.calibration_batches(size, config.evaluate.calibration_images),
        images,
        precision,
    )
    with ExitStack() as files:
        output = files.enter_context(args.output.open("a", encoding="utf-8")) if args.output else None
        for (_, spec), row in zip(members, rows, strict=True):
            line = json.dumps({"run": str(folder), "split": args.split, **row, "code": space.encode(spec)})
            print(line, flush=True)
            if output is not None:
                print(line, file=output, flush=True)


def _members(args: argparse.Namespace, space: Space) -> Iterator[tuple[str, NetSpec]]:
    if args.extremes:
        yield "largest", space.largest()
        yield "smallest", space.smallest()
    for name in args.spec:
        yield name, _member(name, space)
    rng = random.Random(args.seed)
    for number, spec in enumerate(space.members(rng, args.random) if args.random else []):
        yield f"random {number + 1}", spec


def _member(name: str, space: Space) -> NetSpec:
    """For the classes of the run's data; the error says why a network is not in the space."""
    changes: dict[str, Any] = {"num_classes": space.num_classes, "in_chans": space.in_chans}
    spec = load_spec(name).with_(**changes)
    try:
        space.encode(spec)
    except SpecError as error:
        raise SpecError("--spec", f"{name} is not in the run's space: {error}") from None
    return spec
