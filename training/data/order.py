"""Which image stands where in an epoch: one global order, of which every process takes its slice.

The order depends neither on the number of processes nor on that of the workers: with half the batch each, two processes
take together what one takes with the whole batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..randomness import Purpose, permutation


@dataclass(frozen=True)
class Part:
    """The images of one process in one micro-step, as numbers from 0 to `count - 1`, and their places in the epoch."""

    images: np.ndarray
    positions: range


@dataclass(frozen=True)
class TrainOrder:
    """`batch_size` images for each of `world` processes in a micro-step; an incomplete global batch is left out.

    With `repeats` an image stands that often, one after the other as in timm's RepeatAugSampler, and an epoch has as
    many micro-steps as without: it sees fewer images. Within a global batch the copies are laid far apart, so that
    they fall on different processes where there are several.
    """

    count: int
    seed: int
    batch_size: int
    rank: int = 0
    world: int = 1
    repeats: int = 1

    @property
    def steps(self) -> int:
        return self.count // (self.batch_size * self.world)

    def epoch(self, epoch: int) -> Epoch:
        return Epoch(self, permutation(self.count, self.seed, Purpose.ORDER, epoch))


@dataclass(frozen=True)
class Epoch:
    """One epoch of a TrainOrder."""

    order: TrainOrder
    shuffled: np.ndarray

    def part(self, step: int) -> Part:
        """This process's part of a micro-step."""
        size, repeats = self.order.batch_size, self.order.repeats
        first = step * size * self.order.world
        places = np.arange(first, first + size * self.order.world)
        if repeats > 1:
            places = places[np.argsort(places % repeats, kind="stable")]  # all first copies, then all second ones
        mine = slice(self.order.rank * size, (self.order.rank + 1) * size)
        images = self.shuffled[places[mine] // repeats]
        return Part(images, range(first + mine.start, first + mine.stop))


def held_out(count: int, seed: int, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Images 0 to count - 1 as those to train on and the `images` set aside, both ascending."""
    drawn = permutation(count, seed, Purpose.HELD_OUT)
    return np.sort(drawn[images:]), np.sort(drawn[:images])


def choice(count: int, images: int, seed: int, purpose: Purpose) -> np.ndarray:
    """The first `images` of a fixed order of 0 to count - 1: a larger choice begins with the smaller one."""
    return permutation(count, seed, purpose)[:images]
