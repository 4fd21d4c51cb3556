"""Under what a supernet and the static networks beside it run, and which members are taken."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from supernet import NetSpec, Network, Space, Supernet, build, load_space
from supernet.heads import PoolNorm
from training.precision import Precision


@dataclass(frozen=True)
class Setting:
    """`calibration` is the number of batches that batch norms are recalibrated from."""

    space: str
    device: str = "cpu"
    amp: str = "none"
    batch: int = 16
    pixels: int = 160
    pairs: int = 8
    random: int = 5
    calibration: int = 8
    is_small: bool = False

    @property
    def precision(self) -> Precision:
        return Precision(torch.device(self.device), self.amp)

    def load(self) -> Space:
        """The space at this one size, or at its own largest where that is smaller."""
        space = load_space(self.space)
        largest = max(max(size) if isinstance(size, tuple) else size for size in space.resolutions)
        return space.with_(resolutions=(min(self.pixels, largest),))

    def small(self) -> Setting:
        """One image, or two where the head's batch norm can't be trained on one. What a network costs for each layer,
        however little that layer does, shows here. Such passes are short: more pairs of them are timed."""
        least = 2 if issubclass(load_space(self.space).head.kind, PoolNorm) else 1
        return replace(self, batch=least, pixels=96, pairs=4 * self.pairs, is_small=True)

    def images(self, space: Space) -> Tensor:
        """Noise, always the same: what the images show has no influence on the time."""
        generator = torch.Generator().manual_seed(0)
        return torch.randn(self.batch, space.in_chans, *space.largest().size, generator=generator).to(self.device)

    def labels(self, space: Space) -> Tensor:
        generator = torch.Generator().manual_seed(1)
        return torch.randint(space.num_classes, (self.batch,), generator=generator).to(self.device)

    def about(self, space: Space) -> dict[str, object]:
        """What every row says."""
        height, width = space.largest().size
        pixels = height if height == width else f"{height}x{width}"
        return {
            "space": self.space,
            "batch": self.batch,
            "pixels": pixels,
            "is_small": self.is_small,
            "amp": self.amp,
            "device": self.device,
        }


def members(space: Space, number: int) -> list[tuple[str, NetSpec]]:
    """The largest, the smallest and so many random ones, the same in each run of the benchmark."""
    drawn = space.members(random.Random(0), number)
    named = [(f"random {index + 1}", spec) for index, spec in enumerate(drawn)]
    return [("largest", space.largest()), ("smallest", space.smallest()), *named]


def static_twin(net: Supernet, spec: NetSpec) -> Network:
    """An ordinary network with a copy of the weights: what a user would have without the supernet."""
    twin = build(spec).to(next(net.parameters()).device)
    twin.load_state_dict(net.extract(spec).state_dict())
    return twin
