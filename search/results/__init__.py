"""What a search leaves behind: networks as files, a table, a picture, and a page to look at."""

from .findings import Batch, Comparison, Evaluated, Findings, Interval, Published
from .writing import write_networks, write_results

__all__ = [
    "Batch",
    "Comparison",
    "Evaluated",
    "Findings",
    "Interval",
    "Published",
    "write_networks",
    "write_results",
]
