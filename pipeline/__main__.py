"""The command line: python -m pipeline CONFIG --out FOLDER."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from supernet.command_line import run_safely

DESCRIPTION = """From images to packages for a phone, as one config says it: a supernet is trained, a latency table of
each device is measured, the space is searched within a budget, what is found is trained and judged, and files for apps
are made and compared. Each stage is a command that can be typed alone; it is shown before it runs.

    python -m pipeline digits --out runs/digits
    python -m pipeline mine.yaml --out runs/mine --set supernet.schedule.epochs=100 --plan
    python -m pipeline mine.yaml --out runs/mine --only tables search

Its stages: supernet, tables (tables/NAME for one device), search, networks, judged, packages, report.

The same command goes on where it was stopped, and repeats nothing. Where the config has changed, only what depends on
the change is done again; the result before is kept in earlier/, and comes back with the options that it was made by.

The exit status is 0 when all is done, 2 for what a user can mend (one line on standard error says what it is), and 130
when it was asked to stop."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="a name from configs/pipelines/, or a file")
    parser.add_argument("--out", metavar="FOLDER", type=Path, required=True, help="for everything that is made")
    parser.add_argument(
        "--set", metavar="a.b=c", action="append", default=[], dest="overrides", help="change one option; repeatable"
    )
    parser.add_argument("--only", metavar="STAGE", nargs="+", default=[], help="these stages; others stay as they are")
    parser.add_argument("--again", metavar="STAGE", nargs="+", default=[], help="as if these had not been done")
    parser.add_argument("--plan", action="store_true", help="only say what would be done, and why")
    return parser


def main(arguments: list[str] | None = None) -> int:
    args = _parser().parse_args(arguments)

    def command() -> int:
        from .command import pipeline_command

        return pipeline_command(args)

    return run_safely(command, stopped="stopped; the same command goes on")


if __name__ == "__main__":
    sys.exit(main())
