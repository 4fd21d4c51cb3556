"""What is put around a network before it becomes a file: pixels in, probabilities or feature maps out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from supernet import Network

from .tracing import OUTPUT


class FromPixels(nn.Module):
    """Takes pixels from 0 to 255 and normalises them, by the mean and deviation of each channel of pixels from 0 to 1.

    Normalisation is a layer of its own. To fold the mean into the first convolution would be wrong at the edge of the
    image, where that convolution sees zeros; to fold the deviation gives weights of 1e-4, for which fp16 has few bits
    left. A whole number less a mean of fp16 is exact in fp16.
    """

    def __init__(self, net: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.net = net
        self.mean: Tensor
        self.factor: Tensor
        self.register_buffer("mean", 255 * torch.tensor(mean)[:, None, None])
        self.register_buffer("factor", 1 / (255 * torch.tensor(std)[:, None, None]))

    def forward(self, x: Tensor) -> Tensor:
        return self.net((x - self.mean) * self.factor)


class Probabilities(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).softmax(-1)


class Backbone(nn.Module):
    """The feature maps of all stages, from the largest to the smallest; no head, and no norm after the last stage."""

    def __init__(self, net: Network) -> None:
        super().__init__()
        self.stem = net.stem
        self.stages = net.stages

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x, maps = self.stem(x), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return tuple(maps)


def output_names(net: Network, *, backbone: bool) -> tuple[str, ...]:
    """`y`, or `stage1`, `stage2`, ..."""
    return tuple(f"stage{number}" for number in range(1, len(net.stages) + 1)) if backbone else (OUTPUT,)
