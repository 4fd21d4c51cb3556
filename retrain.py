#!/usr/bin/env python3
"""Trains a network: a published one, or one that a search found. Also all of a front, and judges trained ones.

    python retrain.py iformer_m --out runs/m --set data.path=FOLDER
    python retrain.py searches/digits/best.yaml --recipe digits --out runs/best --set init=runs/digits
    python retrain.py --front searches/digits/front --recipe digits --out runs/front
    python retrain.py --evaluate runs/best runs/other --out judged

Recipes are in configs/retrain/; without --recipe, that of the network's family is taken. A file that says spec and data
itself is a whole run: python retrain.py my_run.yaml --out runs/mine. A run that was stopped (Ctrl-C, SIGTERM, a crash)
goes on when the same command is given again. Several GPUs:

    torchrun --nproc-per-node 8 retrain.py efficientformerv2_s1 --out runs/s1 --set data.path=FOLDER

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
    parser.add_argument("network", nargs="?", help="a published name, the file of a network, or that of a whole run")
    parser.add_argument(
        "--out", metavar="RUN", type=Path, help="folder of the run, or of results; unfinished runs go on"
    )
    parser.add_argument("--recipe", metavar="NAME", default="", help="one of configs/retrain/, or a file")
    parser.add_argument(
        "--set", metavar="a.b=c", action="append", default=[], dest="overrides", help="change one option; repeatable"
    )
    front = parser.add_argument_group("a whole front")
    front.add_argument("--front", metavar="FOLDER", type=Path, help="a search's front/, or any folder of networks")
    front.add_argument("--most", metavar="N", type=_number, help="only so many, spread over the front")
    front.add_argument("--without", metavar="FILE", type=Path, help="a network that needn't be trained, if it is there")
    front.add_argument("--at-once", metavar="N", type=_number, default=1, help="so many at the same time, on Ray")
    judging = parser.add_argument_group("judging trained networks")
    judging.add_argument(
        "--evaluate", metavar="MODEL", nargs="+", help="folders of runs; with --weights a network, or timm/NAME"
    )
    judging.add_argument("--weights", metavar="FILE", help="checkpoint of the one MODEL")
    judging.add_argument("--resolution", metavar="PIXELS", type=_number, help="of a side (default: the model's)")
    judging.add_argument("--crop-pct", metavar="SHARE", type=float, help="of the image that is seen")
    judging.add_argument(
        "--split", choices=("validation", "held_out", "train"), default="validation", help="images (default validation)"
    )
    return parser


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def _check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Ends with a usage error where the arguments don't belong together: none is ignored."""
    asked = [name for name in ("network", "front", "evaluate") if getattr(args, name) is not None]
    if len(asked) != 1:
        parser.error("one of these: a network to train, --front FOLDER, or --evaluate MODEL")
    if args.out is None:
        parser.error("--out is missing: where shall the results be written?")
    own = {"front": ("most", "without", "at_once"), "evaluate": ("weights", "resolution", "crop_pct", "split")}
    for purpose, names in own.items():
        for name in names:
            if purpose not in asked and getattr(args, name) != parser.get_default(name):
                parser.error(f"--{name.replace('_', '-')} is for --{purpose} only")


def main(arguments: list[str] | None = None) -> int:
    parser = _parser()
    args = parser.parse_args(arguments)
    _check(parser, args)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    try:  # what follows imports PyTorch, which takes seconds
        from retraining.command import retrain_command
        from training.command import run_safely

        return run_safely(lambda: retrain_command(args))
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
