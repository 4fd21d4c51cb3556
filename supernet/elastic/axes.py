"""What the dimensions of each parameter are: which of them grow together, and which are made of equal parts.

A kind of part declares for each submodule with parameters what its outputs and inputs are, in its `axes`: names such as
`width` (the stage's feature map), `hidden`, or `heads*key_width`, which is laid out head by head. Everything that must
know where a channel lives follows from that: slicing takes a prefix of each axis (of each part, where there are parts),
sorting permutes all parameters of an axis alike. A name that ends in `:part` is a piece of another axis, which
can't be sorted then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from ..layers import Branch, ConvNorm, PositionBias, PositionTable
from ..pieces import Piece
from ..values import SpecError, did_you_mean
from .naming import Naming

KERNEL, GRID, FREE, PART = "(kernel)", "(grid)", "", ":part"


@dataclass(frozen=True, slots=True)
class Dim:
    """One dimension of a parameter: `parts` equal parts of `each` elements, along the axis `axis`.

    `axis` is a name in the supernet, or KERNEL (cropped at its centre), GRID (never cut) or FREE (of no other tensor).
    """

    axis: str
    parts: int
    each: int

    @property
    def length(self) -> int:
        return self.parts * self.each


@dataclass(frozen=True, slots=True)
class ParameterAxes:
    name: str
    """In the supernet."""
    owner: nn.Module
    leaf: str
    dims: tuple[Dim, ...]


def parameter_axes(piece: Piece, module: nn.Module, names: Naming) -> list[ParameterAxes]:
    found = []
    parents = dict(module.named_modules())
    for path, owner in parents.items():
        for leaf, parameter in owner._parameters.items():
            if parameter is None:
                continue
            name = f"{path}.{leaf}" if path else leaf
            labels = _labels(_declared(piece, path, parents), owner, leaf, parameter.ndim)
            if len(labels) != parameter.ndim:
                raise SpecError(_axes_of(piece), f"{name} has {parameter.ndim} dimensions, declared are {labels}")
            dims = tuple(_dim(piece, path, label, n, names) for label, n in zip(labels, parameter.shape, strict=True))
            is_norm = isinstance(owner, nn.modules.batchnorm._BatchNorm)
            shared = names.tensor(piece, name, dims[0].length if is_norm else None)
            found.append(ParameterAxes(shared, owner, leaf, dims))
    return found


def _declared(piece: Piece, path: str, modules: dict[str, nn.Module]) -> tuple[str, ...]:
    """The axes of a submodule: declared for itself, or for the convolution with norm it belongs to."""
    parent = path.rpartition(".")[0]
    for known in (path, parent) if isinstance(modules[parent], ConvNorm) else (path,):
        if known in piece.axes:
            return piece.axes[known]
    raise SpecError(_axes_of(piece), f"there are none of its submodule {path!r}, {did_you_mean(path, piece.axes)}")


def _axes_of(piece: Piece) -> str:
    return f"{type(piece.kind).__name__}.axes"


def _labels(declared: tuple[str, ...], owner: nn.Module, leaf: str, ndim: int) -> tuple[str, ...]:
    """Those of a layer follow from what it gives and takes; a parameter of another shape is declared in full."""
    gives, takes = declared[0], declared[-1] if len(declared) > 1 else FREE
    if isinstance(owner, PositionTable):
        return FREE, gives, GRID, GRID
    if isinstance(owner, PositionBias):
        return gives, GRID
    if (
        leaf != "weight"
        or isinstance(owner, Branch)
        or not isinstance(owner, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
    ):
        return declared if len(declared) == ndim else (gives,)
    if isinstance(owner, nn.Linear):
        return gives, takes
    if isinstance(owner, nn.ConvTranspose2d):
        return takes, gives, KERNEL, KERNEL
    return gives, FREE if owner.groups > 1 else takes, KERNEL, KERNEL


def _dim(piece: Piece, path: str, label: str, length: int, names: Naming) -> Dim:
    if label in (KERNEL, GRID, FREE):
        return Dim(label, 1, length)
    if label.endswith(PART):
        return Dim(names.axis(piece, path, label.partition(":")[0]) + PART, 1, length)
    axis, parts, each = names.axis(piece, path, label), 1, length
    options: Any = piece.kind
    if label == "heads":
        parts, each = length, 1
    elif "*" in label:
        parts = getattr(options, label.partition("*")[0])
        each, rest = divmod(length, parts)
        if rest:
            rule = f"{path} has {length} channels, which {parts} {label.partition('*')[0]} can't share equally"
            raise SpecError(_axes_of(piece), f"{rule} as {label!r} says")
    return Dim(axis, parts, each)
