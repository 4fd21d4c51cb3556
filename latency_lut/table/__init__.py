"""One SQLite file with what was measured, on any number of devices, and what follows from it."""

from .collection import Collection
from .store import Store, TableError

__all__ = ["Collection", "Store", "TableError"]
