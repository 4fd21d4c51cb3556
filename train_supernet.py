#!/usr/bin/env python3
"""Trains a supernet, or evaluates members of one that was trained.

    python train_supernet.py configs/digits.yaml --out runs/digits
    python train_supernet.py configs/digits.yaml --out runs/longer --set schedule.epochs=60 --set step.distill=alpha
    python train_supernet.py --evaluate runs/digits --random 5

A run that was stopped (Ctrl-C, SIGTERM, a crash) goes on when the same command is given again. Several GPUs:

    torchrun --nproc-per-node 8 train_supernet.py configs/imagenet_efficientformerv2.yaml --out runs/v2

The exit status is 0 when all is done, 2 for what a user can mend (one line on standard error says what it is), and 130
when the run was asked to stop.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="?", help="YAML file of the run; those that come along are in configs/")
    parser.add_argument("--out", metavar="RUN", type=Path, help="folder of the run; an unfinished run there goes on")
    parser.add_argument(
        "--set", metavar="a.b=c", action="append", default=[], dest="overrides", help="change one option; repeatable"
    )
    group = parser.add_argument_group("evaluating a trained supernet")
    group.add_argument("--evaluate", metavar="RUN", type=Path, help="folder of the run")
    group.add_argument("--spec", action="append", default=[], help="member to evaluate: a name or file; repeatable")
    group.add_argument("--random", metavar="N", type=_count, default=0, help="so many random members")
    group.add_argument("--extremes", action="store_true", help="the largest and the smallest member")
    group.add_argument(
        "--seed", type=int, help="of the random members (default: the run's, which gives those of its log)"
    )
    group.add_argument(
        "--split", choices=("validation", "held_out"), default="validation", help="images (default validation)"
    )
    group.add_argument("--last", action="store_true", help="the newest checkpoint instead of the best")
    group.add_argument("--output", metavar="FILE", type=Path, help="append the JSON lines here too")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def _check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Ends with a usage error where the arguments don't belong together: none is ignored."""
    if (args.config is None) == (args.evaluate is None):
        parser.error("either a config to train, or --evaluate RUN")
    if args.evaluate is not None:
        if args.out is not None:
            parser.error("--out is for training; with --evaluate, --output FILE takes the results")
        return
    if args.out is None:
        parser.error("--out is missing: where shall the run be written?")
    for name in ("spec", "random", "extremes", "seed", "split", "last", "output"):
        if getattr(args, name) != parser.get_default(name):
            parser.error(f"--{name} is for --evaluate RUN, not for training")


def main(arguments: list[str] | None = None) -> int:
    parser = _parser()
    args = parser.parse_args(arguments)
    _check(parser, args)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    try:  # what follows imports PyTorch, which takes seconds
        from training.command import evaluate_command, run_safely, train_command

        if args.evaluate is not None:
            return run_safely(lambda: evaluate_command(args))
        return run_safely(lambda: train_command(args.config, args.overrides, args.out))
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
