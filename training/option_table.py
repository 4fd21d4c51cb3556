"""The table of all options of a run: the last part of docs/training.md.

python -m training.option_table
"""

from __future__ import annotations

from supernet.option_table import option_table

from .config import RunConfig


def table() -> str:
    return option_table(RunConfig, "The run")


if __name__ == "__main__":
    print(table(), end="")
