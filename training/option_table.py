"""The tables of all options of a run: the last parts of docs/training.md and docs/retraining.md.

python -m training.option_table [network]
"""

from __future__ import annotations

import sys

from supernet.option_table import option_table
from supernet.options import field_hints
from supernet.strict_reading import options_in

from .config import RunConfig, TeacherConfig
from .network_config import NetworkConfig
from .supernet_config import SupernetConfig


def table() -> str:
    return option_table(SupernetConfig, "The run")


def network_table() -> str:
    """Without the groups that are those of a supernet's run."""
    shared = [options for _, hint in field_hints(RunConfig) if (options := options_in(hint)) is not None]
    return option_table(NetworkConfig, "The run", elsewhere=dict.fromkeys([*shared, TeacherConfig], "training.md"))


if __name__ == "__main__":
    print(network_table() if sys.argv[1:] == ["network"] else table(), end="")
