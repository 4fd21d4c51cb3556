"""The command line: python -m deploy export | verify | card."""

from __future__ import annotations

import argparse
import sys

from supernet.command_line import run_safely

from .card_command import add_card
from .export_command import add_export
from .verify_command import add_verify


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy", description="Networks as files for devices, and the proof that they compute the same."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (add_export, add_verify, add_card):
        add(commands)
    return parser


def main(arguments: list[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    return run_safely(lambda: args.run(args))


if __name__ == "__main__":
    sys.exit(main())
