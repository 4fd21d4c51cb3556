"""The places of a space where something is to choose, in one fixed order: a network's code has a number for each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from .choices import Open, PartSpace

if TYPE_CHECKING:
    from .space import Space, StageSpace


class Gene(NamedTuple):
    """`values` are the choices in words, from cheap to expensive; those of a `kind` have no such order."""

    name: str
    dimension: str
    values: tuple[str, ...]

    @property
    def choices(self) -> int:
        return len(self.values)

    @property
    def ordered(self) -> bool:
        return not self.name.endswith(".kind")


Fields = dict[str, int]
"""The gene of each open field of a part that has more than one choice."""


@dataclass
class StageGenes:
    width: int | None = None
    depth: int | None = None
    downsample: Fields = field(default_factory=dict)
    kinds: list[int | None] = field(default_factory=list)
    """The gene of each slot that says which kind it holds."""
    fields: list[list[Fields]] = field(default_factory=list)
    """Of each slot and kind. Kinds that leave the same field open with the same values share its gene."""


@dataclass
class Layout:
    genes: list[Gene] = field(default_factory=list)
    choices: list[int] = field(default_factory=list)
    """Of each gene, how many."""
    ordered: list[bool] = field(default_factory=list)
    resolution: int | None = None
    stem: Fields = field(default_factory=dict)
    stages: list[StageGenes] = field(default_factory=list)
    head: Fields = field(default_factory=dict)

    def add(self, name: str, dimension: str, values: tuple[str, ...]) -> int | None:
        """None where there is nothing to choose."""
        if len(values) < 2:
            return None
        gene = Gene(name, dimension, values)
        self.genes.append(gene)
        self.choices.append(gene.choices)
        self.ordered.append(gene.ordered)
        return len(self.genes) - 1

    def add_part(self, path: str, part: PartSpace) -> Fields:
        return self.add_kinds(path, [part])[0]

    def add_kinds(self, path: str, parts: list[PartSpace]) -> list[Fields]:
        known: dict[Open, int | None] = {}
        taken: set[str] = set()
        for part in parts:
            for open_ in part.open:
                if open_ not in known:
                    name = open_.field if open_.field not in taken else f"{part.name}.{open_.field}"
                    known[open_] = self.add(f"{path}.{name}", open_.dimension, _in_words(open_))
                    taken.add(open_.field)
        genes = [{open_.field: known[open_] for open_ in part.open} for part in parts]
        return [{name: gene for name, gene in fields.items() if gene is not None} for fields in genes]

    def add_stage(self, path: str, stage: StageSpace) -> None:
        genes = StageGenes()
        genes.width = self.add(f"{path}.width", "width", tuple(map(str, stage.widths)))
        if stage.downsample is not None:
            genes.downsample = self.add_part(f"{path}.downsample", stage.downsample)
        if not stage.drop_anywhere:
            genes.depth = self.add(f"{path}.depth", "depth", tuple(map(str, stage.depths)))
        names = tuple(kind.part.name for kind in stage.kinds)
        for slot in range(max(stage.depths)):
            where = f"{path}.slots[{slot}]"
            values = ("empty", *names) if stage.drop_anywhere else names
            genes.kinds.append(self.add(f"{where}.kind", "attention", values))
            genes.fields.append(self.add_kinds(where, [kind.part for kind in stage.kinds]))
        self.stages.append(genes)


def make_layout(space: Space) -> Layout:
    layout = Layout()
    layout.resolution = layout.add("resolution", "resolution", tuple(map(str, space.resolutions)))
    layout.stem = layout.add_part("stem", space.stem)
    for index, stage in enumerate(space.stages):
        layout.add_stage(f"stages[{index}]", stage)
    layout.head = layout.add_part("head", space.head)
    return layout


def _in_words(open_: Open) -> tuple[str, ...]:
    if open_.by_width:
        return tuple(f"choice {index + 1} of {open_.count}" for index in range(open_.count))
    return tuple(f"{value:g}" for value in open_.values)
