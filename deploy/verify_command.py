"""`python -m deploy verify`: a file against the network that it was made from."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from supernet.command_line import positive

from .comparing import FLOAT_TOLERANCE, HALF_TOLERANCE
from .errors import DeployError
from .images import examples_of
from .judging import judge
from .opening import open_file
from .origin import add_origin_options, read_origin

IMAGES = 32


def add_verify(commands: Any) -> None:
    help_ = "run a file, without the device, and compare it with the network it was made from"
    command = commands.add_parser("verify", help=help_, description=help_ + "; exit code 1 if it differs")
    command.set_defaults(run=verify_command)
    command.add_argument("file", metavar="FILE", help="what `export` wrote")
    add_origin_options(command)
    command.add_argument(
        "--folder", type=Path, metavar="FOLDER", help="of images; else the validation images of RUN, else noise"
    )
    command.add_argument(
        "--images", type=positive, default=IMAGES, metavar="N", help=f"how many of them (default {IMAGES})"
    )
    command.add_argument("--json", action="store_true", help="one JSON object")
    command.add_argument(
        "--tolerance",
        type=float,
        metavar="SHARE",
        help="of the largest number of an output, by which another may be off (default: "
        f"{HALF_TOLERANCE:g} for fp16, {FLOAT_TOLERANCE:g} for float32; compressed weights have none)",
    )


def verify_command(args: argparse.Namespace) -> int:
    if args.tolerance is not None and not args.tolerance > 0:
        raise DeployError(f"--tolerance {args.tolerance:g} is not above 0")
    opened = open_file(args.file)
    origin = read_origin(args)
    difference = judge(opened, origin, examples_of(origin, args.images, args.folder), args.tolerance)
    print(json.dumps(difference.figures()) if args.json else difference)
    return 0 if difference.ok else 1
