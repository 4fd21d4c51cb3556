"""Spaces: sets of networks, as files and as values."""

from .reading import load_space, parse_space, space_names
from .space import Space

__all__ = ["Space", "load_space", "parse_space", "space_names"]
