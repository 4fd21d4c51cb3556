"""From images on disk to batches: sources, augmentation, one order for all processes, mixing."""

from .mixing import Mixer
from .opening import Data, open_data
from .sources import DataError

__all__ = ["open_data", "Data", "Mixer", "DataError"]
