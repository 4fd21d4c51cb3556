"""Weights and images without a random generator: every value follows from the tensor's name and the element's index.

Two implementations that were never in one process can be compared this way: the fingerprints of the Inception
Transformer in data/ were computed by its authors' code, filled by the same rule. All magnitudes are of order one, layer
scales too, so that no branch hides behind a factor of 1e-6.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn


def uniform(name: str, count: int) -> np.ndarray:
    """`count` values in [0, 1): splitmix64, seeded by the name's CRC-32 in the upper half."""
    with np.errstate(over="ignore"):
        z = np.uint64(zlib.crc32(name.encode()) << 32) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(
            0x9E3779B97F4A7C15
        )
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53


def filled(name: str, shape: Iterable[int], gain: float) -> Tensor:
    """One float32 tensor; which distribution follows from the last part of the name. `gain` scales matrices."""
    shape = tuple(shape)
    u = uniform(name, int(np.prod(shape)))
    symmetric = 2 * u - 1
    leaf = name.rpartition(".")[2]
    if leaf == "running_var":
        values = 0.5 + u
    elif leaf == "running_mean":
        values = 0.2 * symmetric
    elif leaf in ("gamma", "layer_scale_1", "layer_scale_2"):
        values = 0.25 + 0.5 * u
    elif leaf == "attention_biases":
        values = symmetric
    elif leaf.startswith("pos_embed"):
        values = 0.5 * symmetric
    elif leaf == "bias":
        values = 0.1 * symmetric
    elif len(shape) == 1:
        values = 0.8 + 0.4 * u
    else:
        values = gain * np.sqrt(3 / np.prod(shape[1:])) * symmetric
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def filled_state(state: Mapping[str, Tensor], gain: float) -> dict[str, Tensor]:
    """A state dictionary with the same names and shapes; integers keep their values."""
    return {
        name: filled(name, tensor.shape, gain) if tensor.is_floating_point() else tensor.clone()
        for name, tensor in state.items()
    }


def images(batch: int, height: int, width: int) -> Tensor:
    """Noise of single pixels, of cells of 32 and of whole channels: positions matter, and images differ."""
    fine = uniform("input/fine", batch * 3 * height * width).reshape(batch, 3, height, width)
    cells = (-(-height // 32), -(-width // 32))
    coarse = uniform("input/coarse", batch * 3 * cells[0] * cells[1]).reshape(batch, 3, *cells)
    coarse = coarse.repeat(32, axis=2).repeat(32, axis=3)[:, :, :height, :width]
    whole = uniform("input/global", batch * 3).reshape(batch, 3, 1, 1)
    return torch.from_numpy((1.5 * (2 * fine - 1) + 2 * (2 * coarse - 1) + 2 * (2 * whole - 1)).astype(np.float32))


@torch.no_grad()
def lived_in(net: nn.Module) -> nn.Module:
    """Norms, layer scales and tables as training might leave them: no value is 0, 1 or 1e-5, every branch counts."""
    generator = torch.Generator().manual_seed(0)

    def fill(tensor: Tensor, low: float, high: float) -> None:
        tensor.copy_(torch.empty(tensor.shape).uniform_(low, high, generator=generator))

    for name, tensor in (*net.named_parameters(), *net.named_buffers()):
        leaf = name.rpartition(".")[2]
        if leaf == "scale":
            fill(tensor, 0.3, 0.8)
        elif leaf == "table":
            fill(tensor, -0.5, 0.5)
        elif leaf == "running_mean":
            fill(tensor, -0.3, 0.3)
        elif leaf == "running_var":
            fill(tensor, 0.5, 1.5)
        elif leaf == "weight" and tensor.ndim == 1:
            fill(tensor, 0.7, 1.3)
        elif leaf == "bias":
            fill(tensor, -0.2, 0.2)
    return net


@contextlib.contextmanager
def unfilled() -> Iterator[None]:
    """Networks are built without the random numbers, which take seconds; their weights must come from elsewhere."""
    names = ("uniform_", "normal_", "erfinv_")
    for name in names:
        setattr(Tensor, name, lambda tensor, *_, **__: tensor)
    try:
        yield
    finally:
        for name in names:
            delattr(Tensor, name)  # that of the base class is there again


def gain_of(name: str) -> float:
    """What keeps a published network's activations of order one."""
    gains = {"efficientformerv2_s0": 0.9, "efficientformerv2_s1": 0.9, "iformer_l": 0.7, "iformer_h": 0.6}
    families = {"efficientformerv2": 0.8, "iformer": 0.8}
    for known, gain in {**gains, **families}.items():
        if name.startswith(known):
            return gain
    return 1.0
