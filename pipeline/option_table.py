"""The table of all options of a pipeline: the last part of docs/pipeline.md.

python -m pipeline.option_table
"""

from __future__ import annotations

from supernet.option_table import option_table
from training.config import DataConfig

from .config import PipelineConfig


def table() -> str:
    return option_table(PipelineConfig, "The shared part", elsewhere={DataConfig: "training.md"})


if __name__ == "__main__":
    print(table(), end="")
