"""What `retrain.py` does with its arguments."""

from __future__ import annotations

import argparse
from pathlib import Path

from supernet.values import SpecError, printable
from training import optimization
from training.launching import launch
from training.loop import train
from training.network_config import NetworkConfig
from training.network_subject import specs_of_steps, wanted_spec
from training.recipes import find_config
from training.run_folder import has_checkpoints


def retrain_command(args: argparse.Namespace) -> int:
    args.out = args.out.expanduser()
    if args.evaluate is not None:
        from .judging import judge_command

        return judge_command(args)
    if args.front is not None:
        from .front import front_command

        return front_command(args)
    config = find_config(args.network, args.recipe, args.overrides)
    check(config, args.out)
    launch(config, args.out, train)
    return 0


def check(config: NetworkConfig, out: Path) -> None:
    """What can be known before processes are started, a job waits in a queue, and data are looked through."""
    if out.exists() and not out.is_dir():
        raise SpecError("--out", f"{printable(str(out))} is a file; a run is a folder")
    optimization.check(config.optimizer, config.schedule)
    specs_of_steps(wanted_spec(config), config)
    if config.init and not has_checkpoints(out) and not Path(config.init).expanduser().exists():
        raise SpecError("init", f"there is no {printable(config.init)}")
