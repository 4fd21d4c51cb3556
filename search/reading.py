"""The options of a search as a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from supernet.option_files import OptionFiles, format_options
from supernet.options import Kind
from supernet.strict_reading import StrictReader

from .config import METHODS, MethodConfig, SearchConfig

KINDS: dict[type[Kind], dict[str, type[Kind]]] = {MethodConfig: {kind.kind_name(): kind for kind in METHODS}}
_FILES = OptionFiles(SearchConfig, "a search", StrictReader(KINDS))


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> SearchConfig:
    """The search that a file describes, with single values changed: `method.population=100`."""
    return _FILES.load(path, overrides)


def read_config(data: Any, overrides: Sequence[str], source: str) -> SearchConfig:
    """Of the values that a file holds."""
    return _FILES.read(data, overrides, source)


def parse_config(text: str, overrides: Sequence[str] = ()) -> SearchConfig:
    return _FILES.parse(text, overrides)


def format_config(config: SearchConfig) -> str:
    return format_options(config)
