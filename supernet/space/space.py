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
from ..spec import NetSpec
from ..stages import Stage
from ..values import SpecError
from . import moves
from .choices import PartSpace
from .extremes import extreme, restricted
from .genes import Fields, Gene, Layout, StageGenes
from .placement import EMPTY, KindRule, Placement, PlacementSpace

Code = tuple[int, ...]


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

    # --- codes -------------------------------------------------------------------------------------------------

    @functools.cached_property
    def layout(self) -> Layout:
        layout = Layout()
        layout.resolution = layout.add("resolution", "resolution", tuple(map(str, self.resolutions)))
        layout.stem = layout.add_part("stem", self.stem)
        for index, stage in enumerate(self.stages):
            path, genes = f"stages[{index}]", StageGenes()
            genes.width = layout.add(f"{path}.width", "width", tuple(map(str, stage.widths)))
            if stage.downsample is not None:
                genes.downsample = layout.add_part(f"{path}.downsample", stage.downsample)
            if not stage.drop_anywhere:
                genes.depth = layout.add(f"{path}.depth", "depth", tuple(map(str, stage.depths)))
            names = tuple(kind.part.name for kind in stage.kinds)
            for slot in range(max(stage.depths)):
                where = f"{path}.slots[{slot}]"
                values = ("empty", *names) if stage.drop_anywhere else names
                genes.kinds.append(layout.add(f"{where}.kind", "attention", values))
                genes.fields.append(layout.add_slot(where, [kind.part for kind in stage.kinds]))
            layout.stages.append(genes)
        layout.head = layout.add_part("head", self.head)
        return layout

    @property
    def genes(self) -> tuple[Gene, ...]:
        return tuple(self.layout.genes)

    def decode(self, code: Sequence[int]) -> NetSpec:
        """The network of a code. Genes that have nothing to say in it, as those of an empty slot, are ignored."""
        genes, layout = self.layout.genes, self.layout
        if len(code) != len(genes):
            raise SpecError("code", f"{len(code)} numbers are not {len(genes)}, one for each gene of the space")
        for value, gene in zip(code, genes, strict=True):
            if not 0 <= value < gene.choices:
                raise SpecError("code", f"{value} is not from 0 to {gene.choices - 1}, the choices of {gene.name}")
        stem = self._options(("stem",), self.stem, layout.stem, code, 0)
        width, stages = stem.width, []
        for index, (stage, stage_genes) in enumerate(zip(self.stages, layout.stages, strict=True)):
            width = stage.widths[_at(code, stage_genes.width)] if stage.widths else width
            placement = self.placement(code, index)
            if not stage.placements.allows(placement):
                raise SpecError(
                    f"stages[{index}]", f"its blocks {self._in_words(index, placement)} are not in the space"
                )
            blocks = tuple(
                self._options((index, kind), stage.kinds[kind].part, stage_genes.fields[slot][kind], code, width)
                for slot, kind in enumerate(placement)
                if kind != EMPTY
            )
            down = None
            if stage.downsample is not None:
                where = (index, "downsample")
                down = self._options(where, stage.downsample, stage_genes.downsample, code, width)
            slots = tuple(slot for slot, kind in enumerate(placement) if kind != EMPTY)
            stages.append(
                Stage(width=width, blocks=blocks, downsample=down, position_table=stage.position_table, slots=slots)
            )
        return NetSpec(
            family=self.family,
            stem=stem,
            stages=tuple(stages),
            head=self._options(("head",), self.head, layout.head, code, 0),
            resolution=self.resolutions[_at(code, layout.resolution)],
            in_chans=self.in_chans,
            num_classes=self.num_classes,
            distilled=self.distilled,
        )

    @functools.cached_property
    def _made(self) -> dict[Any, Any]:
        return {}

    def _options(self, where: tuple[Any, ...], part: PartSpace, fields: Fields, code: Sequence[int], width: int) -> Any:
        """Made once for each place and choice: equal blocks are then the same object."""
        chosen = tuple(code[gene] for gene in fields.values())
        key = (where, width, chosen)
        if key not in self._made:
            self._made[key] = part.options(dict(zip(fields, chosen, strict=True)), width)
        return self._made[key]

    def placement(self, code: Sequence[int], index: int) -> Placement:
        """The kind in each slot of a stage."""
        stage, genes = self.stages[index], self.layout.stages[index]
        if stage.drop_anywhere:
            return tuple(_at(code, gene) - 1 for gene in genes.kinds)
        depth = stage.depths[_at(code, genes.depth)]
        return tuple(_at(code, gene) if slot < depth else EMPTY for slot, gene in enumerate(genes.kinds))

    def encode(self, spec: NetSpec) -> Code:
        """The code of a network; SpecError says where it is not of this space. Genes with nothing to say are 0."""
        code = [0] * len(self.layout.genes)
        layout = self.layout
        for field in ("family", "in_chans", "num_classes", "distilled"):
            if getattr(spec, field) != getattr(self, field):
                raise SpecError(field, f"{getattr(spec, field)} is not {getattr(self, field)}, as in the space")
        _set(code, layout.resolution, _index("resolution", spec.resolution, self.resolutions))
        _write(code, "stem", self.stem, layout.stem, spec.stem, 0)
        if len(spec.stages) != len(self.stages):
            raise SpecError("stages", f"{len(spec.stages)} stages are not {len(self.stages)}, as in the space")
        for index, stage in enumerate(spec.stages):
            try:
                self._encode_stage(code, index, stage)
            except SpecError as error:
                raise error.under(f"stages[{index}]") from None
        _write(code, "head", self.head, layout.head, spec.head, 0)
        return tuple(code)

    def _encode_stage(self, code: list[int], index: int, stage: Stage) -> None:
        ours, genes = self.stages[index], self.layout.stages[index]
        if ours.widths:
            _set(code, genes.width, _index("width", stage.width, ours.widths))
        if (stage.downsample is None) != (ours.downsample is None):
            raise SpecError("downsample", "is missing" if stage.downsample is None else "the space has none here")
        if stage.downsample is not None and ours.downsample is not None:
            _write(code, "downsample", ours.downsample, genes.downsample, stage.downsample, stage.width)
        if stage.position_table != ours.position_table:
            raise SpecError("position_table", f"is not {ours.position_table}, as in the space")
        placement = [EMPTY] * len(genes.kinds)
        names = [kind.part.name for kind in ours.kinds]
        for position, (slot, block) in enumerate(zip(stage.block_slots, stage.blocks, strict=True)):
            if slot >= len(placement):
                raise SpecError(f"blocks[{position}]", f"slot {slot} is not one of {len(placement)} of the space")
            path = f"blocks[{position}]"
            number = placement[slot] = _index(f"{path}.kind", block.kind_name(), names)
            _write(code, path, ours.kinds[number].part, genes.fields[slot][number], block, stage.width)
        if not ours.placements.allows(placement):
            raise SpecError("blocks", f"{self._in_words(index, placement)} are not in the space")
        self.set_placement(code, index, placement)

    def set_placement(self, code: list[int], index: int, placement: Sequence[int]) -> None:
        stage, genes = self.stages[index], self.layout.stages[index]
        if not stage.drop_anywhere:
            _set(code, genes.depth, stage.depths.index(sum(kind != EMPTY for kind in placement)))
        for gene, kind in zip(genes.kinds, placement, strict=True):
            _set(code, gene, kind + 1 if stage.drop_anywhere else max(kind, 0))

    def active(self, code: Sequence[int]) -> list[int]:
        """The genes that have something to say in this code."""
        layout = self.layout
        found = [layout.resolution, *layout.stem.values(), *layout.head.values()]
        for index, genes in enumerate(layout.stages):
            found += [genes.width, genes.depth, *genes.downsample.values()]
            for slot, kind in enumerate(self.placement(code, index)):
                if kind != EMPTY or self.stages[index].drop_anywhere:
                    found.append(genes.kinds[slot])
                if kind != EMPTY:
                    found += genes.fields[slot][kind].values()
        return sorted({gene for gene in found if gene is not None})

    def canonical(self, code: Sequence[int]) -> Code:
        active = set(self.active(code))
        return tuple(value if gene in active else 0 for gene, value in enumerate(code))

    def _in_words(self, index: int, placement: Sequence[int]) -> str:
        names = [kind.part.name for kind in self.stages[index].kinds]
        return "(" + ", ".join("empty" if kind == EMPTY else names[kind] for kind in placement) + ")"

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
        """The member with the fewest MACs."""
        return extreme(self, largest=False)

    def largest(self) -> NetSpec:
        """The member with the most MACs."""
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
        return self.decode(moves.sample(self, rng, tilt))

    def mutate(self, spec: NetSpec, rng: random.Random, *, rate: float = 0.1) -> NetSpec:
        """Another member, in which each choice was drawn anew with probability `rate`, and at least one was."""
        return self.decode(moves.mutate(self, self.encode(spec), rng, rate))

    def crossover(self, first: NetSpec, second: NetSpec, rng: random.Random) -> NetSpec:
        """Each choice from one of two members; the placement of a stage's blocks comes from one of them as a whole."""
        return self.decode(moves.crossover(self, self.encode(first), self.encode(second), rng))

    def smaller(self, spec: NetSpec) -> list[tuple[str, NetSpec]]:
        """All members that are one action away and have fewer MACs, or equally many and fewer parameters; each with
        the action in words. An action is the next smaller value of one field, one block less, or a block that does not
        attend in place of one that does."""
        cost = _macs_and_params(spec)
        found = [(action, self.decode(code)) for action, code in moves.smaller(self, self.encode(spec))]
        return [(action, member) for action, member in found if _macs_and_params(member) < cost]

    def members(self, rng: random.Random, number: int) -> list[NetSpec]:
        """Different random members, as many as there are but no more than `number`."""
        found: dict[NetSpec, None] = {}
        for _ in range(100 * number):
            if len(found) == min(number, self.size):
                break
            found[self.sample(rng)] = None
        return list(found)


def _macs_and_params(spec: NetSpec) -> tuple[int, int]:
    counted = count(spec)
    return counted.macs, counted.params


def _at(code: Sequence[int], gene: int | None) -> int:
    return 0 if gene is None else code[gene]


def _set(code: list[int], gene: int | None, value: int) -> None:
    if gene is not None:
        code[gene] = value


def _index(path: str, value: Any, values: Sequence[Any]) -> int:
    if value not in values:
        raise SpecError(path, f"{value} is not one of {', '.join(map(str, values))}, as in the space")
    return list(values).index(value)


def _write(code: list[int], path: str, part: PartSpace, fields: Fields, options: Any, width: int) -> None:
    try:
        choices = part.choices(options, width)
    except SpecError as error:
        raise error.under(path) from None
    for field, gene in fields.items():
        code[gene] = choices[field]
