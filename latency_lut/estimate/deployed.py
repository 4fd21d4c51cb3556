"""The form in which a network reaches a device, on PyTorch's meta device: fused, re-parameterised, without numbers."""

from __future__ import annotations

import copy
from typing import Any

import torch
from timm.utils import reparameterize_model
from torch import Tensor, nn

from supernet import NetSpec, SpecError, build, fuse
from supernet.network import plain_network
from supernet.options import Size
from supernet.spec import Pixels
from supernet.values import conform, first_line, show

Image = tuple[int, int, int]
"""Channels, height and width."""


def deployed(network: NetSpec | nn.Module, resolution: int | Size | None = None) -> tuple[nn.Module, Image]:
    """The module on the meta device and the shape of its image. `network` stays as it is.

    `resolution` is the side of the image, or height and width; by default what the network was made for.
    """
    if isinstance(network, NetSpec):
        spec = network if resolution is None else network.with_(resolution=resolution)
        with torch.device("meta"):
            return fuse(build(spec)), (spec.in_chans, *spec.size)
    if not isinstance(network, nn.Module):
        raise SpecError("network", f"{show(network)} is neither a NetSpec nor a torch module")
    try:
        ours = plain_network(network)
    except TypeError:
        image = _image(network, resolution)
        with torch.device("meta"):
            return reparameterize_model(_without_numbers(network), inplace=True), image
    if resolution is not None and ours.spec.with_(resolution=resolution) != ours.spec:
        return deployed(ours.spec, resolution)
    return fuse(_without_numbers(ours)), (ours.spec.in_chans, *ours.spec.size)


def _image(network: nn.Module, resolution: int | Size | None) -> Image:
    """timm's models say what image they are for; others take three channels and must be told the resolution."""
    known: Any = getattr(network, "pretrained_cfg", None) or getattr(network, "default_cfg", None) or {}
    given: Any = known.get("input_size")
    if resolution is None:
        if given is None:
            raise SpecError(
                "resolution", f"a {type(network).__name__} doesn't say it; give the side of its image in pixels"
            )
        return int(given[0]), int(given[1]), int(given[2])
    sides = conform(Pixels | tuple[Pixels, Pixels], resolution, "resolution")
    height, width = sides if isinstance(sides, tuple) else (sides, sides)
    return 3 if given is None else int(given[0]), height, width


def _without_numbers(network: nn.Module) -> nn.Module:
    """A copy whose tensors have shapes only, made without copying the numbers."""
    memo: dict[int, Any] = {}
    for module in network.modules():
        for tensor in (*module._parameters.values(), *module._buffers.values(), *vars(module).values()):
            if isinstance(tensor, Tensor):
                empty = torch.empty_like(tensor, device="meta")
                is_parameter = isinstance(tensor, nn.Parameter)
                memo[id(tensor)] = nn.Parameter(empty, requires_grad=False) if is_parameter else empty
    try:
        return copy.deepcopy(network, memo).eval()
    except (RuntimeError, TypeError) as error:
        raise SpecError("network", f"a {type(network).__name__} can't be copied: {first_line(error)}") from None
