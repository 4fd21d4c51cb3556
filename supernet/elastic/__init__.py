"""One set of weights for all networks of a space."""

from .sorting import sort_channels
from .subnet import Subnet
from .supernet import Supernet

__all__ = ["Subnet", "Supernet", "sort_channels"]
