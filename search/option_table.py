"""The table of all options of a search: the last part of docs/search.md.

python -m search.option_table
"""

from __future__ import annotations

from supernet.option_table import option_table

from .config import SearchConfig
from .reading import KINDS


def table() -> str:
    return option_table(SearchConfig, "The search", KINDS)


if __name__ == "__main__":
    print(table(), end="")
