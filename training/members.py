"""Which members of the space each step trains."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from supernet import Space
from supernet.options import Size

from .randomness import Purpose, seed_from
from .sampling import make_sampler
from .step import LARGEST, SAMPLED, SMALLEST
from .subject import Member
from .supernet_config import StepConfig

TRIES = 4
"""Draws for each member that is wanted: a space or a band may not have as many."""


class Members:
    """Of the steps of a phase. Where a step has one resolution for all, each resolution has a sampler of its own, with
    its own bands of MACs."""

    def __init__(self, space: Space, config: StepConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        together = config.resolution == "batch"
        self.spaces = [space.with_(resolutions=(one,)) for one in space.resolutions] if together else [space]
        self.samplers = [make_sampler(space, config) for space in self.spaces]

    def of(self, step: int, progress: float) -> list[Member]:
        """The same on all processes: what is drawn follows from the seed and the step. No network is there twice, as
        it would learn nothing new; where a phase has few, there are fewer."""
        index = self._index(step)
        space, config = self.spaces[index], self.config
        members = [Member(LARGEST, space.largest())] if config.largest else []
        if config.smallest and (not config.largest or space.smallest() != space.largest()):
            members.append(Member(SMALLEST, space.smallest()))
        rng = random.Random(f"{self.seed} members {step}")
        sampler, specs = self.samplers[index], [member.spec for member in members]
        wanted = len(members) + config.sampled
        sampler.begin(rng)
        for _ in range(TRIES * config.sampled):
            if len(specs) == wanted:
                break
            spec = sampler.draw(rng, progress)
            specs += [spec] if spec not in specs else []
        return members + [Member(SAMPLED, spec) for spec in specs[len(members) :]]

    def size(self, step: int) -> Size:
        """Of the images of a step: that of its largest member."""
        return self.spaces[self._index(step)].largest().size

    @property
    def learns(self) -> bool:
        return self.samplers[0].learns

    def learn(self, members: Sequence[Member], losses: Sequence[float]) -> None:
        """From how the sampled members of a step did, beside the largest on the same images."""
        largest = next((loss for member, loss in zip(members, losses, strict=True) if member.role == LARGEST), 0.0)
        found = [
            (member.spec, loss - largest)
            for member, loss in zip(members, losses, strict=True)
            if member.role == SAMPLED
        ]
        if found:
            resolutions = [space.resolutions for space in self.spaces]
            index = next(index for index, own in enumerate(resolutions) if found[0][0].resolution in own)
            self.samplers[index].learn([spec for spec, _ in found], [loss for _, loss in found])

    def state(self) -> list[dict[str, Any]]:
        return [sampler.state() for sampler in self.samplers]

    def load_state(self, state: Sequence[Mapping[str, Any]]) -> None:
        for sampler, own in zip(self.samplers, state, strict=True):
            sampler.load_state(own)

    def _index(self, step: int) -> int:
        return seed_from(self.seed, step, Purpose.RESOLUTION) % len(self.spaces)
