"""A network of a supernet: a `Network` whose parameters are slices of the shared ones."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ..network import Network, set_drop_path
from .slices import Cut

# Autograd says once that a gradient lies like its parameter but not densely: so it shall, as a slice of a larger one.
warnings.filterwarnings("ignore", message="grad and param do not obey the gradient layout contract")


class Borrowed:
    """A parameter of a subnet and where it lies in the supernet, values and gradient."""

    def __init__(self, shared: nn.Parameter, values: Cut, gradient: Cut) -> None:
        self.shared = shared
        self.values = values
        self.gradient = gradient
        if values.is_view:
            self.parameter = nn.Parameter(values.view, requires_grad=shared.requires_grad)
            self.parameter.grad = gradient.view
        else:
            shape = _joined(values)
            self.parameter = nn.Parameter(values.view.new_empty(shape), requires_grad=shared.requires_grad)
            self.version = -1
            if shared.requires_grad:
                self.parameter.register_post_accumulate_grad_hook(self._add_back)
            self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        """Copies the shared values in, where they are not seen through a view and have changed."""
        if not self.values.is_view and self.version != self.shared._version:
            self.values.like(self.parameter).copy_(self.values.view)
            self.version = self.shared._version

    @torch.no_grad()
    def store(self) -> None:
        """The way back, for someone who has written to the parameter."""
        if not self.values.is_view:
            self.values.view.copy_(self.values.like(self.parameter))
            self.version = self.shared._version

    @torch.no_grad()
    def attach(self) -> None:
        """The gradient must lie in the supernet's, whatever was done to this parameter."""
        if self.values.is_view:
            self.parameter.grad = self.gradient.view

    def _add_back(self, parameter: Tensor) -> None:
        assert parameter.grad is not None
        self.gradient.view.add_(self.gradient.like(parameter.grad))
        parameter.grad = None


def _joined(values: Cut) -> list[int]:
    """The shape of the subnet's tensor."""
    sizes, split = list(values.view.shape), dict(values.split)
    shape = []
    index = 0
    while sizes:
        size = sizes.pop(0)
        shape.append(size * sizes.pop(0) if index in split else size)
        index += 1
    return shape


def refresh(borrowed: Iterable[Borrowed]) -> None:
    for one in borrowed:
        one.refresh()


class Subnet(Network):
    """Runs, gives gradients and loads weights like any network, and all of it happens to the supernet's.

    What moves weights must be given the supernet's parameters: where heads of less width are cut, a subnet's tensor is
    a copy, which follows the shared one (as far as it is changed in place, not through `.data`) but not the reverse.
    It can't be moved, converted or given other parts: `Supernet.extract` gives a network of its own.
    """

    borrowed: list[Borrowed]

    def set_rates(self, drop_path: float, dropout: float) -> None:
        """Of this subnet alone, for as long as it lives."""
        set_drop_path(self, drop_path)
        self.head.dropout.p = dropout

    def zero_grad(self, set_to_none: bool = True) -> None:
        for one in self.borrowed:
            one.gradient.view.zero_()
            one.attach()

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        refresh(self.borrowed)
        return super().state_dict(*args, **kwargs)

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        if assign:
            raise ValueError("a subnet's parameters are slices and can't be replaced; load with assign=False")
        refresh(self.borrowed)
        result = super().load_state_dict(state_dict, strict=strict)
        for one in self.borrowed:
            one.store()
        return result

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        raise TypeError("a subnet can't be moved or converted: do it to the supernet, or to what extract(spec) gives")

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        raise TypeError("a subnet's classifier is the supernet's; extract(spec) gives a network that can get another")

    def prune_intermediate_layers(self, *args: Any, **kwargs: Any) -> list[int]:
        raise TypeError("a subnet can't be pruned; extract(spec) gives a network that can")
