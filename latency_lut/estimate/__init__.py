"""Latencies for phones that nobody has at hand, from a cost model fitted to published figures. Always labelled."""

from .devices import CHIPS
from .estimating import Estimate, estimate_ms
from .features import Features, features

__all__ = ["CHIPS", "Estimate", "Features", "estimate_ms", "features"]
