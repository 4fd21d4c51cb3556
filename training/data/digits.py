"""scikit-learn's 1,797 scanned digits of 8x8 pixels: real data for a first run that needs no download."""

from __future__ import annotations

import numpy as np
from PIL import Image

VALIDATION_EVERY = 5
"""Every fifth image is for validation: the same ones for everybody."""


class Digits:
    """One split of the digits, as a `Source`."""

    def __init__(self, *, validation: bool) -> None:
        from sklearn.datasets import load_digits

        data = load_digits()
        chosen = (np.arange(len(data.target)) % VALIDATION_EVERY == VALIDATION_EVERY - 1) == validation
        self._pixels = np.rint(data.images[chosen] * (255 / 16)).astype(np.uint8)
        self._numbers = np.flatnonzero(chosen)
        self.labels = data.target[chosen].astype(np.int64)
        self.classes: tuple[str, ...] = tuple(str(name) for name in data.target_names)

    def read(self, index: int) -> Image.Image:
        return Image.fromarray(self._pixels[index])

    def name(self, index: int) -> str:
        return f"digit {self._numbers[index]}"
