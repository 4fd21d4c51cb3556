"""The places of a space where something is to choose, in one fixed order: a network's code has a number for each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from .choices import Open, PartSpace


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
"""The gene of each open field of a part."""


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
    resolution: int | None = None
    stem: Fields = field(default_factory=dict)
    stages: list[StageGenes] = field(default_factory=list)
    head: Fields = field(default_factory=dict)

    def add(self, name: str, dimension: str, values: tuple[str, ...]) -> int | None:
        """None where there is nothing to choose."""
        if len(values) < 2:
            return None
        self.genes.append(Gene(name, dimension, values))
        return len(self.genes) - 1

    def add_part(self, path: str, part: PartSpace) -> Fields:
        return {open_.field: self._add_field(f"{path}.{open_.field}", open_) for open_ in part.open}

    def add_slot(self, path: str, parts: list[PartSpace]) -> list[Fields]:
        known: dict[Open, int] = {}
        taken: set[str] = set()
        found = []
        for part in parts:
            for open_ in part.open:
                if open_ not in known:
                    name = open_.field if open_.field not in taken else f"{part.name}.{open_.field}"
                    known[open_] = self._add_field(f"{path}.{name}", open_)
                    taken.add(open_.field)
            found.append({open_.field: known[open_] for open_ in part.open})
        return found

    def _add_field(self, name: str, open_: Open) -> int:
        if open_.by_width:
            values = tuple(f"choice {index + 1} of {open_.count}" for index in range(open_.count))
        else:
            values = tuple(f"{value:g}" for value in open_.values)
        index = self.add(name, open_.dimension, values)
        assert index is not None, "an open field has two values at least"
        return index
