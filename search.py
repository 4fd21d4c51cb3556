#!/usr/bin/env python3
"""Searches a space for the best networks within a budget.

    python search.py configs/search/digits.yaml --out searches/digits
    python search.py configs/search/digits.yaml --out searches/small --set 'constraints=["params <= 20 k"]'

The folder has front/ (networks as YAML files), best.yaml, front.csv, front.svg and report.html. A search that was
stopped goes on when the same command is given again; the same command in a second terminal helps the first.

The exit status is 0 when all is done, 2 for what a user can mend (one line on standard error says what it is), and 130
when the search was asked to stop.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="YAML file of the search; those that come along are in configs/search/")
    parser.add_argument("--out", metavar="RUN", type=Path, required=True, help="folder of the search")
    parser.add_argument(
        "--set", metavar="a.b=c", action="append", default=[], dest="overrides", help="change one option; repeatable"
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    try:  # what follows imports PyTorch, which takes seconds
        from search.command import search_command
        from training.command import run_safely

        return run_safely(lambda: search_command(args.config, args.overrides, args.out))
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
