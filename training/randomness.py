"""Random numbers that follow from where an image stands, not from what was drawn before.

Augmentations of timm and torchvision draw from the global generators of python, numpy and torch. They are seeded for
every image, and put back afterwards: a run that goes on in the middle of an epoch, or with another number of workers,
sees the same images.
"""

from __future__ import annotations

import enum
import hashlib
import random
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


class Purpose(enum.IntEnum):
    """What a stream of random numbers is for: one purpose never repeats the numbers of another."""

    ORDER = 1
    AUGMENT = 2
    ERASE = 3
    HELD_OUT = 4
    CALIBRATION = 5
    SUBSET = 6
    MIX = 7
    WEIGHTS = 8
    STEP = 9
    RESOLUTION = 10


def seed_from(*numbers: int) -> int:
    """63 bits that follow from these numbers (of 64 bits each) alone."""
    digest = hashlib.blake2b(struct.pack(f"<{len(numbers)}q", *numbers), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def seed_global_generators(seed: int) -> None:
    """Of python, numpy and torch on the CPU; `torch.manual_seed` would seed the GPUs' too."""
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    torch.default_generator.manual_seed(seed)


@contextmanager
def global_generators_kept() -> Iterator[None]:
    """The global generators are afterwards as they were before."""
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)


def permutation(count: int, *numbers: int) -> np.ndarray:
    """0 to count - 1 in an order that follows from the numbers alone."""
    return np.random.default_rng(seed_from(*numbers)).permutation(count)
