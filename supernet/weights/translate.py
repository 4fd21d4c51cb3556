"""State dictionaries from timm's names to ours and back, by the ties of a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from .ties import Tie

State = dict[str, Tensor]


class Translation:
    """For the tensors of one network: which tensors of theirs each one is part of."""

    def __init__(self, ties: Iterable[Tie], own: Mapping[str, Tensor]) -> None:
        self.own = own
        by_prefix = {name: tie for tie in ties for name in tie.own}
        self.groups: dict[str, tuple[Tie, tuple[str, ...]]] = {}
        """Under each of their names: the tie and the names of ours that make it up."""
        for name in own:
            prefix, tie = _longest_prefix(name, by_prefix)
            suffix = name[len(prefix) :]
            self.groups[tie.theirs + suffix] = (tie, tuple(part + suffix for part in tie.own))

    def theirs(self) -> set[str]:
        return set(self.groups)

    def to_theirs(self) -> State:
        return {name: _join([self.own[part] for part in parts], tie) for name, (tie, parts) in self.groups.items()}

    def to_own(self, state: Mapping[str, Tensor]) -> tuple[State, dict[str, list[int]]]:
        """What of `state` has a counterpart here; and the names of theirs that can't be taken apart, with our shapes.

        Single tensors may differ from ours in shape: adapting them is the loader's business.
        """
        found: State = {}
        unfit: dict[str, list[int]] = {}
        for name, (tie, parts) in self.groups.items():
            if name in state:
                pieces = _split(state[name], [self.own[part] for part in parts], tie)
                if pieces is None:
                    unfit[name] = list(_join([self.own[part] for part in parts], tie).shape)
                else:
                    found.update(zip(parts, pieces, strict=True))
        return found, unfit

    def parts_of(self, names: Iterable[str]) -> set[str]:
        """Ours that make up these of theirs."""
        return {part for name in names for part in self.groups[name][1]}


def _longest_prefix(name: str, by_prefix: Mapping[str, Tie]) -> tuple[str, Tie]:
    prefix = name
    while prefix not in by_prefix:
        prefix, dot, _ = prefix.rpartition(".")
        if not dot:
            raise KeyError(f"{name} has no counterpart in timm")
    return prefix, by_prefix[prefix]


def _join(parts: list[Tensor], tie: Tie) -> Tensor:
    if tie.layout == "channels_last":
        return parts[0].permute(0, 2, 3, 1).contiguous()
    if len(parts) == 1 or parts[0].ndim == 0:  # a batch counter is the same for all
        return parts[0]
    if tie.layout != "heads":
        return torch.cat(parts, dim=_axis(tie))
    return torch.cat([part.unflatten(0, (tie.heads, -1)) for part in parts], dim=1).flatten(0, 1)


def _split(tensor: Tensor, own: list[Tensor], tie: Tie) -> list[Tensor] | None:
    """The parts that lie in one of their tensors; None if it has not the room for them."""
    if tie.layout == "channels_last":
        return [tensor.permute(0, 3, 1, 2)] if tensor.ndim == 4 else None
    if len(own) == 1 or (tensor.ndim == 0 and own[0].ndim == 0):
        return [tensor] * len(own)
    axis = _axis(tie)
    if tensor.ndim != own[0].ndim or tensor.shape[axis] != sum(part.shape[axis] for part in own):
        return None
    sizes = [part.shape[axis] for part in own]
    if tie.layout != "heads":
        return list(tensor.split(sizes, dim=axis))
    by_head = tensor.unflatten(0, (tie.heads, -1)).split([size // tie.heads for size in sizes], dim=1)
    return [part.flatten(0, 1) for part in by_head]


def _axis(tie: Tie) -> int:
    return 1 if tie.layout == "columns" else 0
