"""What was evaluated, where several processes and computers find it."""

from .connecting import file_url
from .patience import StorageError
from .record import Evaluation
from .records import Records
from .sharing import evaluate_shared
from .study import open_study

__all__ = ["Evaluation", "Records", "StorageError", "evaluate_shared", "file_url", "open_study"]
