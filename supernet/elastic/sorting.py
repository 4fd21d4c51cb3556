"""Reordering channels, hidden units and heads by importance, so that the prefixes which subnets take keep the most
important ones. No output of the largest network changes: all tensors of an axis are permuted alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..network import Network
from ..pieces import Piece
from ..values import did_you_mean
from .axes import FREE, GRID, KERNEL, PART, Dim, parameter_axes
from .skeletons import skeleton
from .supernet import Supernet

_FIXED = (FREE, GRID, KERNEL)
_GIVEN = ("pixels", "classes")
"""Whose order the data decides."""
Place = tuple[str, int]
"""A tensor's name and one of its dimensions."""


@dataclass(frozen=True)
class Order:
    """For each axis that was sorted, which old index stands at each place now."""

    indices: Mapping[str, Tensor]
    dims: Mapping[str, tuple[Dim, ...]]

    @torch.no_grad()
    def apply(self, tensors: Mapping[str, Tensor]) -> None:
        """In place, to tensors with names and shapes of the supernet's: averaged weights, an optimiser's moments."""
        for name, tensor in tensors.items():
            for index, dim in enumerate(self.dims[name]):
                if dim.axis in self.indices:
                    tensor.copy_(tensor.index_select(index, self.indices[dim.axis].to(tensor.device)))


def sort_channels(net: Supernet, importance: str = "l1", axes: Iterable[str] | None = None) -> Order:
    """Sorts all axes that can be sorted (or the named ones) and returns the order, for tensors kept elsewhere.

    `importance` of a channel is the sum of what all its weights score: `l1` their magnitudes, `l2` their squares,
    `taylor` |weight x gradient| of the gradients at hand; each tensor counts by its mean, so that large kernels don't
    outweigh all else. Subnets have fresh batch-norm statistics afterwards.
    """
    if net.norm_per_width:
        raise ValueError("with a norm for each width there is no order of channels to change: sort before training it")
    if importance not in ("l1", "l2", "taylor"):
        raise ValueError(f"importance {importance!r} is not one of l1, l2, taylor")
    dims = {name: tensor.dims for name, tensor in net.union.tensors.items()}
    weights = dict(net.named_parameters())
    places = _places(dims)
    if axes is not None:
        unknown = set(axes) - set(places)
        if unknown:
            raise ValueError(f"{min(unknown)!r} is no axis that can be sorted, {did_you_mean(min(unknown), places)}")
    used = _used(net)
    indices: dict[str, Tensor] = {}
    for group in _groups(places, dims):
        if axes is None or set(group) <= set(axes):
            indices |= _group_order(group, places, dims, weights, importance, used)
    order = Order(indices, dims)
    order.apply(weights)
    net.forget_subnets()
    return order


def _places(dims: Mapping[str, tuple[Dim, ...]]) -> dict[str, list[Place]]:
    """Where each axis is found. An axis of which some tensor takes a piece can't be sorted."""
    found: dict[str, list[Place]] = defaultdict(list)
    kept: set[str] = set()
    for name, sizes in dims.items():
        for index, dim in enumerate(sizes):
            if dim.axis.endswith(PART):
                kept.add(dim.axis.removesuffix(PART))
            elif dim.axis not in _FIXED:
                found[dim.axis].append((name, index))
    return {axis: where for axis, where in found.items() if axis not in kept and axis.rpartition("|")[2] not in _GIVEN}


def _groups(places: Mapping[str, list[Place]], dims: Mapping[str, tuple[Dim, ...]]) -> list[list[str]]:
    """Axes that are laid out head by head belong to the axis of the heads themselves."""
    groups: dict[str, list[str]] = defaultdict(list)
    for axis in places:
        scope, bar, label = axis.rpartition("|")
        groups[f"{scope}{bar}{label.partition('*')[0]}"].append(axis)
    return list(groups.values())


def _group_order(
    group: list[str],
    places: Mapping[str, list[Place]],
    dims: Mapping[str, tuple[Dim, ...]],
    weights: Mapping[str, Tensor],
    importance: str,
    used: Mapping[str, Dim],
) -> dict[str, Tensor]:
    shapes = {axis: _dim(axis, places, dims) for axis in group}
    scores = {axis: _scores(places[axis], weights, importance) for axis in group}
    parts, first = shapes[group[0]].parts, used.get(group[0], shapes[group[0]])
    by_head = torch.stack([scores[axis].view(parts, -1).mean(1) for axis in group]).sum(0)
    heads = _best_first(by_head, first.parts)
    found = {}
    for axis in group:
        each = shapes[axis].each
        inside = _best_first(scores[axis].view(parts, each)[heads], used.get(axis, shapes[axis]).each)
        found[axis] = (heads[:, None] * each + inside).flatten()
    return found


def _best_first(scores: Tensor, used: int) -> Tensor:
    """The order along the last dimension; what the largest network does not use stays behind what it does."""
    order = [part.argsort(dim=-1, descending=True, stable=True) for part in (scores[..., :used], scores[..., used:])]
    return torch.cat([order[0], order[1] + used], dim=-1)


def _used(net: Supernet) -> dict[str, Dim]:
    """How much of each axis the largest network has: where branches divide channels, another may have more of some."""
    pieces: list[Piece] = []

    def note(piece: Piece) -> nn.Module:
        pieces.append(piece)
        return nn.Identity()

    Network(net.space.largest(), note)
    axes = (one for piece in pieces for one in parameter_axes(piece, skeleton(piece), net.names))
    return {dim.axis: dim for parameter in axes for dim in parameter.dims}


def _dim(axis: str, places: Mapping[str, list[Place]], dims: Mapping[str, tuple[Dim, ...]]) -> Dim:
    name, index = places[axis][0]
    return dims[name][index]


@torch.no_grad()
def _scores(places: list[Place], weights: Mapping[str, Tensor], importance: str) -> Tensor:
    total: Tensor | None = None
    for name, index in places:
        weight = weights[name]
        if importance == "taylor":
            assert weight.grad is not None
            score = (weight * weight.grad).abs()
        else:
            score = weight.abs() if importance == "l1" else weight.square()
        score = score.transpose(0, index).flatten(1).mean(1) if weight.ndim > 1 else score
        share = score / score.mean().clamp_min(torch.finfo(score.dtype).tiny)
        total = share if total is None else total + share
    assert total is not None
    return total
