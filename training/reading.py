"""The options of runs as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from supernet.option_files import OptionFiles, format_options

from .config import RunConfig
from .network_config import NetworkConfig
from .supernet_config import SupernetConfig

_SUPERNETS = OptionFiles(SupernetConfig, "a run")
_NETWORKS = OptionFiles(NetworkConfig, "a run")


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> SupernetConfig:
    """The run that a file describes, with single values changed: `step.sampled=3`."""
    return _SUPERNETS.load(path, overrides)


def read_config(data: Any, overrides: Sequence[str], source: str) -> SupernetConfig:
    """Of the values that a file holds."""
    return _SUPERNETS.read(data, overrides, source)


def parse_config(text: str, overrides: Sequence[str] = ()) -> SupernetConfig:
    return _SUPERNETS.parse(text, overrides)


def load_network_config(path: str | Path, overrides: Sequence[str] = ()) -> NetworkConfig:
    return _NETWORKS.load(path, overrides)


def parse_network_config(text: str, overrides: Sequence[str] = ()) -> NetworkConfig:
    return _NETWORKS.parse(text, overrides)


def read_network_config(data: Any, overrides: Sequence[str], source: str) -> NetworkConfig:
    """Of the values that a file holds."""
    return _NETWORKS.read(data, overrides, source)


def load_like(config: RunConfig, path: Path) -> RunConfig:
    """A config of the same kind."""
    return (_SUPERNETS if isinstance(config, SupernetConfig) else _NETWORKS).load(path)


def format_config(config: RunConfig) -> str:
    """The canonical YAML, defaults left out: `parse_config` makes an equal value of it."""
    return format_options(config)
