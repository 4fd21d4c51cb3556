"""Spaces: sets of networks, as files and as values."""

from .reading import load_space, parse_space, space_names
from .space import Space
from .writing import format_space, save_space

__all__ = ["Space", "format_space", "load_space", "parse_space", "save_space", "space_names"]
