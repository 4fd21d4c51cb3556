"""Modules without memory and without the work of initialising it: their tensors are replaced by slices at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..pieces import Piece

_NEW = {torch.empty, torch.zeros, torch.ones, torch.full, torch.tensor}
_FILL = {Tensor.zero_, Tensor.fill_, Tensor.uniform_, Tensor.normal_, nn.init.zeros_, nn.init.ones_, nn.init.constant_}
_FILL |= {nn.init.uniform_, nn.init.kaiming_uniform_}


class _Skeletons(TorchFunctionMode):
    """New tensors lie on the meta device, filling them does nothing. Holds for this thread alone."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _FILL:
            return args[0] if args else (kwargs or {})["tensor"]
        if func in _NEW:
            return func(*args, **{**(kwargs or {}), "device": "meta"})
        return func(*args, **(kwargs or {}))


def skeleton(piece: Piece) -> nn.Module:
    """The module of a piece, with tensors that have shapes but no memory."""
    with _Skeletons():
        return piece.module()
