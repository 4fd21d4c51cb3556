"""Cutting a subnet's tensor out of the shared one: a view wherever the cut is one, else copied in and added back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from .axes import GRID, KERNEL, Dim


def merged(one: Dim, other: Dim) -> Dim:
    """The dimension that holds both."""
    assert one.axis == other.axis, f"{one} and {other} are not of one axis"
    return Dim(one.axis, max(one.parts, other.parts), max(one.each, other.each))


@dataclass(frozen=True, slots=True)
class Cut:
    """`view` of a shared tensor. It has the subnet's shape, or where a dimension of parts was cut inside the parts,
    `split` says which dimension stands there as two (the parts, and what is left of each)."""

    view: Tensor
    split: tuple[tuple[int, tuple[int, int]], ...] = ()

    @property
    def is_view(self) -> bool:
        return not self.split

    def like(self, tensor: Tensor) -> Tensor:
        """A tensor of the subnet's shape, seen with the dimensions of `view`."""
        for dim, sizes in reversed(self.split):
            tensor = tensor.unflatten(dim, sizes)
        return tensor


def cut(tensor: Tensor, whole: Sequence[Dim], wanted: Sequence[Dim]) -> Cut:
    """The leading channels, the centre of a kernel, all of a grid. Shapes are checked: torch would clamp silently."""
    assert tuple(tensor.shape) == tuple(dim.length for dim in whole), f"{tensor.shape} is not {whole}"
    split: list[tuple[int, tuple[int, int]]] = []
    view = tensor
    for index, (ours, theirs) in enumerate(zip(whole, wanted, strict=True)):
        at = index + len(split)
        if ours.axis == GRID:
            continue
        if theirs.parts > ours.parts or theirs.each > ours.each:
            raise ValueError(f"{theirs} does not fit into {ours}")
        if ours.axis == KERNEL:
            view = view.narrow(at, (ours.each - theirs.each) // 2, theirs.each)
        elif theirs.each == ours.each or theirs.parts == 1:
            view = view.narrow(at, 0, theirs.length)
        else:
            view = (
                view.unflatten(at, (ours.parts, ours.each)).narrow(at, 0, theirs.parts).narrow(at + 1, 0, theirs.each)
            )
            split.append((index, (theirs.parts, theirs.each)))
    return Cut(view, tuple(split))
