"""One SQLite file with what was measured, on any number of devices, and what follows from it."""

from .store import Collection, Store, TableError

__all__ = ["Collection", "Store", "TableError"]
