"""What a network is: specs, blocks, the five published families, and the modules, counts and weights that follow."""

from . import starting  # noqa: F401  isort: skip

from .counting import Count, count
from .elastic import Subnet, Supernet, sort_channels
from .fusing import fuse, fuse_part
from .network import Network, build, set_drop_path
from .options import Cost
from .own_blocks import load_named
from .reading import format_spec, load_spec, parse_spec, published_names, save_spec
from .space import Space, format_space, load_space, parse_space, save_space, space_names
from .spec import NetSpec
from .stages import Stage
from .values import SpecError
from .weights import LoadReport, WeightsError, load_weights, save_weights

__all__ = [
    "Cost",
    "Count",
    "LoadReport",
    "NetSpec",
    "Network",
    "Space",
    "SpecError",
    "Stage",
    "Subnet",
    "Supernet",
    "WeightsError",
    "build",
    "count",
    "format_space",
    "format_spec",
    "fuse",
    "fuse_part",
    "load_space",
    "load_spec",
    "load_weights",
    "parse_space",
    "parse_spec",
    "published_names",
    "save_space",
    "save_spec",
    "save_weights",
    "set_drop_path",
    "sort_channels",
    "space_names",
]

load_named()
