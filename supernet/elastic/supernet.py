"""One set of weights for all networks of a space.

The supernet owns one tensor for each parameter, as large as the space needs it, and one buffer for all gradients. A
subnet is an ordinary network whose parameters are slices of those tensors: running it runs the supernet, and backward
adds into the right slices of the buffer. Autograd never sees a slice.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..layers import PositionBias, PositionTable
from ..network import Network, init_weights
from ..pieces import Piece
from ..space import Space
from ..spec import NetSpec
from ..weights import LoadReport, load_weights
from .axes import parameter_axes
from .lending import Library, Loan
from .naming import naming
from .norms import synced
from .skeletons import skeleton
from .slices import cut
from .subnet import Borrowed, Subnet, refresh
from .union import union

KEPT = 32
"""Subnets kept alive after their last use, so that running one again costs nothing."""


class Supernet(nn.Module):
    """`norm_per_width`: a batch norm has weights of its own for each number of channels, as EfficientFormerV2's had.
    `sync_norm`: batch norms take their statistics over all processes."""

    def __init__(self, space: Space, *, norm_per_width: bool = False, sync_norm: bool = False) -> None:
        super().__init__()
        self.space = space
        self.norm_per_width = norm_per_width
        self.sync_norm = sync_norm
        self.names = naming(space, norm_per_width)
        self.union = union(space, self.names)
        for name, tensor in self.union.tensors.items():
            _register(self, name, nn.Parameter(torch.zeros([dim.length for dim in tensor.dims])))
        self.gradients: Tensor
        """Of all shared tensors, end to end."""
        self._forget()
        self._init_weights()

    def forward(self, x: Tensor, spec: NetSpec) -> Tensor:
        """That subnet, run. In evaluation, its batch norms use what they saw since `subnet(spec)` was made."""
        net = self.subnet(spec)
        if net.training != self.training:
            net.train(self.training)
        out: Tensor = net(x)
        return out

    def subnet(self, spec: NetSpec) -> Subnet:
        """The network of that spec on slices of the shared weights: the same object as long as somebody holds it.

        It comes as `build` would make it, in training mode, with fresh batch-norm statistics. Hold it while a backward
        pass through it is to come.
        """
        self._attach()
        net = self._alive.get(spec)
        if net is None:
            self.space.encode(spec)  # says what is wrong with a spec that is not of the space
            net = self._alive[spec] = self._assemble(spec)
        self._kept[spec] = net
        self._kept.move_to_end(spec)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return net

    def extract(self, spec: NetSpec) -> Network:
        """A plain network with its own copy of the weights, and of the batch-norm statistics `subnet(spec)` has now."""
        subnet = self.subnet(spec)
        with torch.device("meta"):
            plain = Network(spec)
        example = next(self.parameters())
        plain = plain.to(example.dtype).to_empty(device=example.device)
        with torch.no_grad():
            refresh(subnet.borrowed)
            theirs = dict(plain.named_modules())
            for path, module in subnet.named_modules():
                _copy_tensors(module, theirs[path])
        return plain

    def load_member(self, path: str | Path, spec: NetSpec | None = None) -> LoadReport:
        """A checkpoint of a member (the largest by default) into the slices that are its; other weights stay."""
        return load_weights(self.subnet(self.space.largest() if spec is None else spec), path)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """All gradients are zero afterwards, also those of slices that no subnet uses: they never go stale."""
        self.gradients.zero_()
        self._attach()

    def no_weight_decay(self) -> set[str]:
        """Tables of position biases and positions; timm leaves out vectors by itself."""
        return {name for name in self.union.tensors if name.endswith(".table")}

    def requires_grad_(self, requires_grad: bool = True) -> Supernet:
        super().requires_grad_(requires_grad)
        self._forget()
        return self

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        if assign:
            raise ValueError("subnets are slices of these very tensors; load with assign=False")
        return super().load_state_dict(state_dict, strict=strict)

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles: what is made from the parameters is made again from theirs."""
        derived = ("gradients", "_shared", "_gradients", "_library", "_alive", "_kept")
        return {name: value for name, value in self.__dict__.items() if name not in derived}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._forget()

    def forget_subnets(self) -> None:
        """Later subnets have fresh batch-norm statistics. Those that somebody holds go on working."""
        self._alive: weakref.WeakValueDictionary[NetSpec, Subnet] = weakref.WeakValueDictionary()
        self._kept: OrderedDict[NetSpec, Subnet] = OrderedDict()

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        super()._apply(fn, recurse)
        self._forget()
        return self

    def _forget(self) -> None:
        """After the shared tensors were made or replaced: subnets with slices of others are no longer ours."""
        self._shared = dict(self.named_parameters())
        example = next(iter(self._shared.values()))
        self.gradients = torch.zeros(
            sum(p.numel() for p in self._shared.values()), dtype=example.dtype, device=example.device
        )
        parts = self.gradients.split([p.numel() for p in self._shared.values()])
        self._gradients = {
            name: part.as_strided(p.shape, p.stride(), part.storage_offset())  # the layout of the tensor, for speed
            for (name, p), part in zip(self._shared.items(), parts, strict=True)
        }
        self._library = Library(self._make)
        self.forget_subnets()
        self._attach()

    @torch.no_grad()
    def _init_weights(self) -> None:
        """As a network of that family is initialised whose tensors are as large as the shared ones."""
        pieces = sorted(set(self.union.fullest.values()), key=lambda piece: (piece.path, repr(piece)))
        for piece in pieces:
            fresh = piece.module()
            init_weights(fresh, self.space.family)
            for parameter in parameter_axes(piece, fresh, self.names):
                name = parameter.name
                if self.union.fullest[name] != piece:
                    continue
                part = cut(self._shared[name].detach(), self.union.tensors[name].dims, parameter.dims)
                part.view.copy_(part.like(getattr(parameter.owner, parameter.leaf)))

    def _attach(self) -> None:
        """Where an optimiser's zero_grad took the gradients away, they come back."""
        first = next(iter(self._shared))
        if self._shared[first].grad is not self._gradients[first]:
            for name, parameter in self._shared.items():
                parameter.grad = self._gradients[name]

    def _assemble(self, spec: NetSpec) -> Subnet:
        loans: list[tuple[Piece, Loan]] = []

        def lend(piece: Piece) -> nn.Module:
            loan = self._library.borrow(piece)
            loans.append((piece, loan))
            return loan.module

        net = Subnet(spec, lend)
        net.borrowed = [one for _, loan in loans for one in loan.borrowed]
        for one in net.borrowed:
            one.attach()
        net.train()
        self._library.lend(net, loans)
        return net

    def _make(self, piece: Piece) -> Loan:
        """The module of a piece with slices of the shared tensors as its parameters."""
        example = next(iter(self._shared.values()))
        module = skeleton(piece)
        if self.sync_norm:
            module = synced(module)
        borrowed = []
        for parameter in parameter_axes(piece, module, self.names):
            name = parameter.name
            whole = self.union.tensors[name]
            one = Borrowed(
                self._shared[name],
                cut(self._shared[name].detach(), whole.dims, parameter.dims),
                cut(self._gradients[name], whole.dims, parameter.dims),
            )
            borrowed.append(one)
            if isinstance(parameter.owner, PositionBias):
                assert whole.grid is not None
                parameter.owner.borrow(one.parameter, whole.grid)
            else:
                parameter.owner._parameters[parameter.leaf] = one.parameter
        for part in module.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                width = part.num_features
                part._buffers["running_mean"] = torch.zeros(width, dtype=example.dtype, device=example.device)
                part._buffers["running_var"] = torch.ones(width, dtype=example.dtype, device=example.device)
                part._buffers["num_batches_tracked"] = torch.zeros((), dtype=torch.long, device=example.device)
        copied = [one for one in borrowed if not one.values.is_view]
        if copied:
            module.register_forward_pre_hook(lambda *_: refresh(copied))
        return Loan(module, borrowed)


def _register(root: nn.Module, name: str, parameter: nn.Parameter) -> None:
    """Under a name with dots, as if it belonged to modules of modules."""
    *path, leaf = name.split(".")
    for step in path:
        if step not in root._modules:
            root.add_module(step, nn.Module())
        root = root.get_submodule(step)
    root.register_parameter(leaf, parameter)


def _tensor(value: Tensor | nn.Module) -> Tensor:
    assert isinstance(value, Tensor)
    return value


def _copy_tensors(source: nn.Module, target: nn.Module) -> None:
    """What a module has itself; tables for larger images give what this size needs of them."""
    if isinstance(source, PositionBias):
        (height, width), heads = source.size, source.table.shape[0]
        table = source.table.view(heads, *source.grid)[:, :height, :width]
        _tensor(target.table).copy_(table.flatten(1))
    elif isinstance(source, PositionTable):
        _tensor(target.table).copy_(source.values())
    else:
        for tensors, others in ((source._parameters, target._parameters), (source._buffers, target._buffers)):
            for name, tensor in tensors.items():
                other = others[name]
                if tensor is not None and other is not None:
                    other.copy_(tensor)
