"""scikit-learn's 1,797 scanned digits of 8x8 pixels: real data for a first run that needs no download."""

from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path

import numpy as np
from PIL import Image

VALIDATION_EVERY = 5
"""Every fifth image is for validation: the same ones for everybody."""


class Digits:
    """One split of the digits, as a `Source`."""

    def __init__(self, *, validation: bool) -> None:
        images, labels = _images_and_labels()
        chosen = (np.arange(len(labels)) % VALIDATION_EVERY == VALIDATION_EVERY - 1) == validation
        self._pixels = np.rint(images[chosen] * (255 / 16)).astype(np.uint8)
        self._numbers = np.flatnonzero(chosen)
        self.labels = labels[chosen].astype(np.int64)
        self.classes: tuple[str, ...] = tuple(str(digit) for digit in range(10))

    def read(self, index: int) -> Image.Image:
        return Image.fromarray(self._pixels[index])

    def name(self, index: int) -> str:
        return f"digit {self._numbers[index]}"


def _images_and_labels() -> tuple[np.ndarray, np.ndarray]:
    """From scikit-learn's file itself, where it is known: importing all of the package takes seconds."""
    package = importlib.util.find_spec("sklearn")
    file = Path(package.origin if package and package.origin else "").parent / "datasets" / "data" / "digits.csv.gz"
    if not file.is_file():
        from sklearn.datasets import load_digits

        data = load_digits()
        return data.images, data.target
    with gzip.open(file, "rt", encoding="ascii") as opened:
        rows = np.loadtxt(opened, delimiter=",", dtype=np.float64)
    return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1]
