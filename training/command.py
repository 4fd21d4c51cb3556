"""What `train_supernet.py` does, and what its user reads when something is wrong: one line, and no traceback."""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from supernet import NetSpec, Space, SpecError, command_line, load_space, load_spec
from supernet.values import UserError, first_line, printable

from . import optimization
from .data import open_data
from .evaluation import evaluate_members
from .launching import launch
from .loop import Interrupted, train
from .precision import set_up
from .processes import device_for
from .reading import load_config
from .run_folder import has_checkpoints
from .supernet_config import SupernetConfig
from .supernet_folder import read_setting, read_supernet

_ADVICE = {
    "does not have a deterministic implementation": "Set precision.deterministic=false, or another device.",
    "not enough memory": "Try a smaller data.batch_size.",
    "can't allocate memory": "Try a smaller data.batch_size.",
}
"""What PyTorch says of things that a user can change."""

CHANGEABLE = (
    "data.path",
    "data.validation",
    "data.workers",
    "data.eval_batch_size",
    "evaluate.images",
    "evaluate.calibration_images",
    "precision.",
)
"""What an evaluation may set: where and how it runs, and on what, but not what the run was."""


def run_safely(command: Callable[[], int | None]) -> int:
    """The exit status, as of every command; what PyTorch says of things that a user can change gets its advice."""
    return command_line.run_safely(lambda: _advised(command))


def _advised(command: Callable[[], int | None]) -> int | None:
    try:
        return command()
    except UserError:
        raise
    except Interrupted:
        raise KeyboardInterrupt from None
    except torch.OutOfMemoryError as error:
        raise UserError(f"out of GPU memory: {first_line(error)} Try a smaller data.batch_size.") from None
    except BrokenPipeError:  # whoever read the output, such as `head`, has gone; what was asked for is not all done
        command_line.forget_output()
        raise UserError("nobody reads the output any more") from None
    except RuntimeError as error:
        known = next((advice for words, advice in _ADVICE.items() if words in str(error)), None)
        if known is None:
            raise
        raise UserError(f"{first_line(error)} {known}") from None


def train_command(path: str, overrides: Sequence[str], out: Path) -> None:
    config = load_config(path, overrides)
    _check(config, out)
    launch(config, out, train)


def _check(config: SupernetConfig, out: Path) -> None:
    """What can be known before processes are started, a job waits in a queue, and data are looked through."""
    if out.exists() and not out.is_dir():
        raise SpecError("--out", f"{printable(str(out))} is a file; a run is a folder")
    optimization.check(config.optimizer, config.schedule)
    try:
        space = load_space(config.space)
    except SpecError as error:
        raise SpecError("space", str(error)) from None
    if config.init_spec:
        _member(config.init_spec, space, "init_spec")
    if config.init and not has_checkpoints(out) and not Path(config.init).expanduser().is_file():
        raise SpecError("init", f"there is no file {printable(config.init)}")


def evaluate_command(args: argparse.Namespace) -> None:
    """JSON lines on standard output, one for each member."""
    folder: Path = args.evaluate
    _check_overrides(args.overrides)
    config, space = read_setting(folder, args.overrides)
    members = list(_members(args, space, config.seed))
    if not members:
        raise SpecError("--evaluate", "which members? --spec NAME, --random N or --extremes")
    if args.split == "held_out" and not config.data.held_out:
        raise SpecError("--split", "the run held no images out: data.held_out is 0")
    device = device_for(config.precision, 0)
    precision = set_up(config.precision, device)
    net, checkpoint = read_supernet(folder, best=not args.last)
    data = open_data(config.data, config.augment, seed=config.seed, in_chans=space.in_chans)
    if data.num_classes != space.num_classes:
        raise SpecError(
            "data", f"the images have {data.num_classes:,} classes, the run's networks know {space.num_classes:,}"
        )
    if args.output is not None:
        _append(args.output, "")  # it should be known before, not after the first member
    rows = evaluate_members(
        precision.place_net(net),
        members,
        lambda size: data.calibration_batches(size, config.evaluate.calibration_images),
        lambda size: (
            data.held_out_batches(size)
            if args.split == "held_out"
            else data.validation_batches(size, config.evaluate.images)
        ),
        precision,
    )
    about = {"run": str(folder), "checkpoint": checkpoint.name, "split": args.split}
    for (_, spec), row in zip(members, rows, strict=True):
        line = json.dumps(about | row | {"code": space.encode(spec)})
        print(line, flush=True)
        if args.output is not None:
            _append(args.output, line + "\n")


def _check_overrides(overrides: Sequence[str]) -> None:
    for override in overrides:
        place = override.partition("=")[0].strip()
        if not any(place == known or (known.endswith(".") and place.startswith(known)) for known in CHANGEABLE):
            known = ", ".join(known + "*" * known.endswith(".") for known in CHANGEABLE)
            raise SpecError(
                f"--set {printable(override)}", f"the run is as it was trained; an evaluation can set {known}"
            )


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise SpecError("--output", f"{printable(str(path))} can't be written: {error.strerror}") from None


def _members(args: argparse.Namespace, space: Space, seed: int) -> Iterator[tuple[str, NetSpec]]:
    """By name. Without a seed of its own, the random ones are those that the run itself evaluates."""
    if args.extremes:
        yield "largest", space.largest()
        yield "smallest", space.smallest()
    for name in args.spec:
        yield name, _member(name, space, "--spec")
    rng = random.Random(f"{seed if args.seed is None else args.seed} evaluation")
    for number, spec in enumerate(space.members(rng, args.random) if args.random else []):
        yield f"random {number + 1}", spec


def _member(name: str, space: Space, field: str) -> NetSpec:
    """For the classes and channels of the space; the error says why a network is not in it."""
    changes: dict[str, Any] = {"num_classes": space.num_classes, "in_chans": space.in_chans}
    try:
        spec = load_spec(name).with_(**changes)
    except SpecError as error:
        raise SpecError(field, str(error)) from None
    try:
        space.encode(spec)
    except SpecError as error:
        raise SpecError(field, f"{printable(name)} is not in the run's space: {error}") from None
    return spec
