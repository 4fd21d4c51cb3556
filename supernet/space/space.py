"""A space: the set of networks a supernet holds and a search may choose from.

A network of the space and its code, one small number for each gene, stand for each other. Drawing and altering networks
is drawing and altering codes.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..blocks import Block
from ..counting import count
from ..options import Size
from ..spec import NetSpec
from ..stages import Stage, places
from ..values import SpecError
from . import coding, moves
from .choices import PartSpace
from .coding import Code
from .extremes import extreme
from .genes import Gene, Layout, make_layout
from .placement import KindRule, PlacementSpace
from .restricting import restricted


@dataclass(frozen=True)
class SlotKind:
    """A kind of block that the slots of a stage may hold."""

    part: PartSpace
    rule: KindRule

    @property
    def attends(self) -> bool:
        kind = self.part.kind
        assert issubclass(kind, Block)
        return kind.attends


@dataclass(frozen=True)
class StageSpace:
    """`widths` is empty for a stage without downsample, which keeps the width that comes in.

    `share` names the branches whose weights are the same for all kinds of a slot.
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    kinds: tuple[SlotKind, ...]
    downsample: PartSpace | None = None
    drop_anywhere: bool = False
    share: tuple[str, ...] = ()
    position_table: bool = False

    @functools.cached_property
    def placements(self) -> PlacementSpace:
        rules = tuple(kind.rule for kind in self.kinds)
        return PlacementSpace(max(self.depths), self.depths, self.drop_anywhere, rules)


@dataclass(frozen=True)
class Space:
    """`name` is for people; two spaces of other names can be equal in everything else."""

    family: str
    resolutions: tuple[Any, ...]
    stem: PartSpace
    stages: tuple[StageSpace, ...]
    head: PartSpace
    in_chans: int = 3
    num_classes: int = 1000
    distilled: bool = False
    name: str = ""

    def with_(self, **changes: Any) -> Space:
        """Such as `num_classes`, which the data decides."""
        return replace(self, **changes)

    def maps(self, size: Size) -> list[tuple[Size, Size]]:
        """For each stage, the feature map that comes in and the one its blocks see, for an image of this size."""
        stem = next(self.stem.all_options(0))
        frames = []
        for stage in self.stages:
            down = None if stage.downsample is None else next(stage.downsample.all_options(stage.widths[0]))
            frames.append(Stage(width=1, blocks=(), downsample=down))  # the width does not matter here
        return [(place.size_in, place.size) for place in places(stem, frames, size)]

    # --- codes -------------------------------------------------------------------------------------------------

    @functools.cached_property
    def layout(self) -> Layout:
        return make_layout(self)

    @functools.cached_property
    def made(self) -> dict[Any, Any]:
        """The options that were made from codes so far."""
        return {}

    @property
    def genes(self) -> tuple[Gene, ...]:
        return tuple(self.layout.genes)

    def decode(self, code: Sequence[int]) -> NetSpec:
        """The network of a code. Genes that have nothing to say in it, as those of an empty slot, are ignored.
        SpecError says what is wrong with a code that has no network."""
        return coding.decode(self, coding.checked(self, code))

    def encode(self, spec: NetSpec) -> Code:
        """The code of a network; SpecError says where it is not of this space. Genes with nothing to say are 0."""
        return coding.encode(self, spec)

    def active(self, code: Sequence[int]) -> list[int]:
        """The genes that have something to say in this code."""
        return coding.active(self, code)

    def canonical(self, code: Sequence[int]) -> Code:
        """The code with 0 for each gene that has nothing to say: that which `encode` gives for the network."""
        return coding.canonical(self, code)

    # --- members -----------------------------------------------------------------------------------------------

    def __contains__(self, spec: object) -> bool:
        if not isinstance(spec, NetSpec):
            return False
        try:
            self.encode(spec)
        except SpecError:
            return False
        return True

    @functools.cached_property
    def size(self) -> int:
        """The number of networks."""
        number = len(self.resolutions) * self.stem.count * self.head.count
        for stage in self.stages:
            number *= max(1, len(stage.widths)) * (stage.downsample.count if stage.downsample else 1)
            number *= stage.placements.number([kind.part.count for kind in stage.kinds])
        return number

    def smallest(self) -> NetSpec:
        """The member with the fewest MACs; of several, with the fewest parameters."""
        return self._smallest

    def largest(self) -> NetSpec:
        """The member with the most MACs; of several, with the most parameters."""
        return self._largest

    @functools.cached_property
    def _smallest(self) -> NetSpec:
        return extreme(self, largest=False)

    @functools.cached_property
    def _largest(self) -> NetSpec:
        return extreme(self, largest=True)

    def restricted(self, elastic: Collection[str]) -> Space:
        """The members that agree with the largest in all dimensions but the named ones."""
        return restricted(self, elastic)

    # --- moves -------------------------------------------------------------------------------------------------

    def sample(self, rng: random.Random, *, tilt: float = 0.0) -> NetSpec:
        """A random member.

        Uniform in each choice: resolution, widths, depths, the number of blocks of each kind at that depth, their
        arrangement, and every open field of every block. (Uniform over networks would be something else: almost all
        of them are deep.) A positive `tilt` favours large values: the last of a list is exp(tilt) times as likely as
        the first.
        """
        return coding.decode(self, moves.draw(self, rng, tilt))

    def mutate(self, spec: NetSpec, rng: random.Random, *, rate: float = 0.1) -> NetSpec:
        """Another member, in which each choice was drawn anew with probability `rate`. Where that gives the same one,
        it is tried again with twice the rate."""
        return coding.decode(self, moves.mutate(self, self.encode(spec), rng, rate))

    def crossover(self, first: NetSpec, second: NetSpec, rng: random.Random) -> NetSpec:
        """Each choice from one of two members; the placement of a stage's blocks comes from one of them as a whole."""
        return coding.decode(self, moves.crossover(self, self.encode(first), self.encode(second), rng))

    def smaller(self, spec: NetSpec) -> list[tuple[str, NetSpec]]:
        """All members that are one action away and have fewer MACs, or equally many and fewer parameters; each with
        the action in words.

        An action is the neighbouring value of one field; the next smaller depth, where the blocks go that the space
        lets go; or a block that does not attend in place of one that does, which has the cheapest values in fields
        that the other one doesn't share.
        """
        cost = _macs_and_params(spec)
        found = [(action, coding.decode(self, code)) for action, code in moves.smaller(self, self.encode(spec))]
        return [(action, member) for action, member in found if _macs_and_params(member) < cost]

    def members(self, rng: random.Random, number: int) -> list[NetSpec]:
        """`number` different random members; fewer where the space has fewer, or some that are hardly ever drawn."""
        found: dict[NetSpec, None] = {}
        for _ in range(100 * number):
            if len(found) == min(number, self.size):
                break
            found[self.sample(rng)] = None
        return list(found)


def _macs_and_params(spec: NetSpec) -> tuple[int, int]:
    counted = count(spec)
    return counted.macs, counted.params
