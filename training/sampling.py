"""Which members of the space a step trains besides the largest and the smallest.

Drawing is a function of the generator handed in; what a sampler learns between steps is its `state`, for checkpoints.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from supernet import NetSpec, Space
from supernet.space.bands import Bands

from .supernet_config import StepConfig


class Sampler(Protocol):
    def begin(self, rng: random.Random) -> None:
        """A step begins, for which members will be drawn."""

    def draw(self, rng: random.Random, progress: float) -> NetSpec:
        """One member; it may be one that was drawn before. `progress` of the run is from 0 to 1."""

    def learn(self, specs: Sequence[NetSpec], losses: Sequence[float]) -> None:
        """How they did, relative to the largest on the same images. Called only if `learns`."""

    @property
    def learns(self) -> bool: ...

    def state(self) -> dict[str, Any]: ...

    def load_state(self, state: Mapping[str, Any]) -> None: ...


class UniformSampler:
    """Uniform in each choice of the space. It has no memory; other samplers without one inherit that from it."""

    learns = False

    def __init__(self, space: Space) -> None:
        self.space = space

    def begin(self, rng: random.Random) -> None:
        pass

    def draw(self, rng: random.Random, progress: float) -> NetSpec:
        return self.space.sample(rng)

    def learn(self, specs: Sequence[NetSpec], losses: Sequence[float]) -> None:
        raise AssertionError("this sampler does not learn")

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        pass


class StratifiedSampler(UniformSampler):
    """Each from a random band of MACs, so that small and large members are met as often as those in between."""

    def __init__(self, space: Space, strata: int) -> None:
        super().__init__(space)
        self.bands = Bands(space, strata)

    def draw(self, rng: random.Random, progress: float) -> NetSpec:
        return self.bands.sample(rng)


class AdjacentSampler:
    """ElasticViT (Tang et al. 2023): all of a step from one band, which is next to the band of the step before; and a
    bank for each band of the members that did best, of which a growing share of the draws (up to half) is taken."""

    learns = True

    def __init__(self, space: Space, strata: int, bank: int) -> None:
        self.space = space
        self.bands = Bands(space, strata)
        self.bank = bank
        self.band = len(self.bands) // 2
        self.best: list[list[tuple[float, NetSpec]]] = [[] for _ in range(len(self.bands))]

    def begin(self, rng: random.Random) -> None:
        self.band = min(max(self.band + rng.choice((-1, 0, 1)), 0), len(self.bands) - 1)

    def draw(self, rng: random.Random, progress: float) -> NetSpec:
        known = self.best[self.band]
        if known and rng.random() < progress / 2:
            return rng.choice(known)[1]
        return self.bands.sample(rng, self.band)

    def learn(self, specs: Sequence[NetSpec], losses: Sequence[float]) -> None:
        for spec, loss in zip(specs, losses, strict=True):
            band = self.bands.of(spec)
            old = next((known for known, other in self.best[band] if other == spec), loss)
            kept = [one for one in self.best[band] if one[1] != spec]
            kept.append(((old + loss) / 2, spec))
            self.best[band] = sorted(kept, key=lambda one: one[0])[: self.bank]

    def state(self) -> dict[str, Any]:
        banks = [[(loss, list(self.space.encode(spec))) for loss, spec in bank] for bank in self.best]
        return {"band": self.band, "best": banks}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.band = state["band"]
        self.best = [[(loss, self.space.decode(code)) for loss, code in bank] for bank in state["best"]]


def make_sampler(space: Space, config: StepConfig) -> Sampler:
    if config.sampling == "uniform":
        return UniformSampler(space)
    if config.sampling == "stratified":
        return StratifiedSampler(space, config.strata)
    return AdjacentSampler(space, config.strata, config.bank)
