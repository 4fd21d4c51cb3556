"""The options of a run as a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from supernet.option_files import OptionFiles, format_options

from .config import RunConfig

_FILES = OptionFiles(RunConfig, "a run")


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """The run that a file describes, with single values changed: `step.sampled=3`."""
    return _FILES.load(path, overrides)


def parse_config(text: str, overrides: Sequence[str] = ()) -> RunConfig:
    return _FILES.parse(text, overrides)


def format_config(config: RunConfig) -> str:
    """The canonical YAML, defaults left out: `parse_config` makes an equal value of it."""
    return format_options(config)
