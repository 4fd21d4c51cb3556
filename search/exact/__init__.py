"""What can be known of a space exactly, as costs are sums: lists of its networks, their number in a window of cost, and
networks drawn from it."""

from .distribution import CostDistribution
from .enumeration import enumerate_codes

__all__ = ["CostDistribution", "enumerate_codes"]
