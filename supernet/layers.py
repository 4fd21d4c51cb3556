"""The layers every family is made of. All of them take and give feature maps (batch, channels, height, width);
a layer that works on channels-last data permutes, which costs nothing when its neighbours do the same."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from .options import Cost, Size, area, strided, total

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "hardswish": nn.Hardswish}


class ConvNorm(nn.Module):
    """Convolution, then batch norm where it is wanted.

    An activation is a module of its own in the chain, so that the convolution's input is not kept alive while it runs.
    """

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d | nn.Identity) -> None:
        super().__init__()
        self.conv = conv
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


@dataclass(frozen=True, slots=True)
class Conv:
    """A `ConvNorm` and its activation as data: what a block is made of is written once, for modules and for costs."""

    width_in: int
    width_out: int
    kernel: int = 1
    stride: int = 1
    depthwise: bool = False
    bias: bool = False
    norm: bool = True
    act: str | None = None

    def module(self) -> ConvNorm:
        """Without the activation, which `conv_chain` adds."""
        groups = self.width_in if self.depthwise else 1
        conv = nn.Conv2d(
            self.width_in, self.width_out, self.kernel, self.stride, self.kernel // 2, groups=groups, bias=self.bias
        )
        return ConvNorm(conv, nn.BatchNorm2d(self.width_out) if self.norm else nn.Identity())

    def cost(self, size: Size) -> Cost:
        """For an input of this size."""
        weights = self.width_out * (1 if self.depthwise else self.width_in) * self.kernel**2
        vectors = self.width_out * (self.bias + 2 * self.norm)
        return Cost(weights + vectors, weights * area(strided(size, self.stride)))


def conv_chain(convs: Mapping[str, Conv]) -> nn.Sequential:
    chain = nn.Sequential()
    for name, conv in convs.items():
        chain.add_module(name, conv.module())
        if conv.act is not None:
            chain.add_module(f"{name}_act", ACTIVATIONS[conv.act]())
    return chain


def conv_chain_cost(convs: Mapping[str, Conv], size: Size) -> Cost:
    costs = []
    for conv in convs.values():
        costs.append(conv.cost(size))
        size = strided(size, conv.stride)
    return total(costs)


def linear_cost(width_in: int, width_out: int, positions: int = 1, bias: bool = True) -> Cost:
    weights = width_in * width_out
    return Cost(weights + bias * width_out, weights * positions)


def attention_macs(heads: int, queries: int, keys: int, key_width: int, value_width: int) -> int:
    """Both matrix products; widths are those of one head."""
    return heads * queries * keys * (key_width + value_width)


class DropPath(nn.Module):
    """In training, leaves out a branch for some images of a batch, and scales it for the others (Huang et al. 2016)."""

    def __init__(self, drop_prob: float = 0.0) -> None:
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x: Tensor) -> Tensor:
        if not self.drop_prob or not self.training:
            return x
        kept = 1 - self.drop_prob
        return x * x.new_empty(len(x), 1, 1, 1).bernoulli_(kept).div_(kept)

    def extra_repr(self) -> str:
        return f"drop_prob={self.drop_prob:.3f}"


@torch.no_grad()
def narrow_normal_(tensor: Tensor, std: float = 0.02) -> None:
    """Normal, and cut off at -2 and 2: by the inverse of its distribution, with the random numbers that timm draws."""
    end = math.erf(2 / std / math.sqrt(2))
    tensor.uniform_(-end, end).erfinv_().mul_(std * math.sqrt(2)).clamp_(-2, 2)


class Branch(nn.Module):
    """x + drop_path(scale * body(x)): every block is a chain of these."""

    def __init__(self, body: nn.Module, width: int, layer_scale: float | None = None, droppable: bool = True) -> None:
        super().__init__()
        self.body = body
        self.scale = None if layer_scale is None else nn.Parameter(torch.full((width,), float(layer_scale)))
        self.drop_path: nn.Module = DropPath(0.0) if droppable else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        if self.scale is not None:
            y = y * self.scale[:, None, None]
        return x + self.drop_path(y)


def branches(**named: Branch) -> nn.Sequential:
    chain = nn.Sequential()
    for name, branch in named.items():
        chain.add_module(name, branch)
    return chain


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of a feature map, at each position."""

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps).permute(
            0, 3, 1, 2
        )


MLP_AXES = {
    "ffn.body.norm": ("width",),
    "ffn.body.expand": ("hidden", "width"),
    "ffn.body.project": ("width", "hidden"),
}
"""Of a branch `ffn` with a perceptron."""


class NormedMlp(nn.Module):
    """Layer norm and a two-layer perceptron at each position."""

    def __init__(self, width: int, hidden: int, eps: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=eps)
        self.expand = nn.Linear(width, hidden)
        self.act = nn.GELU()
        self.project = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.act(self.expand(self.norm(x.permute(0, 2, 3, 1)))))
        return y.permute(0, 3, 1, 2)

    @staticmethod
    def cost(width: int, hidden: int, size: Size) -> Cost:
        positions = area(size)
        return linear_cost(width, hidden, positions) + linear_cost(hidden, width, positions) + Cost(params=2 * width)


class PositionTable(nn.Module):
    """A learned value for each channel at each position, added to the map.

    A table of another size, lent by a network of larger images, is interpolated at each call.
    """

    def __init__(self, width: int, size: Size) -> None:
        super().__init__()
        self.size = size
        self.table = nn.Parameter(torch.zeros(1, width, *size))

    def values(self) -> Tensor:
        height, width = self.size
        if self.table.shape[2] == height and self.table.shape[3] == width:
            return self.table
        return F.interpolate(self.table, [height, width], mode="bilinear", align_corners=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.values()


class PositionBias(nn.Module):
    """A learned bias for each head and each distance (|dy|, |dx|) between query and key.

    Keys lie on a map of `size`; queries on the same map, or on every `stride`-th row and column of it. The table is
    indexed by row distance first. It is gathered anew at each call: a cached copy would go stale when weights change.
    `grid` is the map whose distances the table holds: `size`, unless a network of larger images lends its table.
    """

    def __init__(self, heads: int, size: Size, stride: int = 1) -> None:
        super().__init__()
        self.size = self.grid = size
        self.table = nn.Parameter(torch.zeros(heads, area(size)))
        self.stride = stride
        self.index: Tensor
        self.register_buffer("index", distance_index(size, stride, size), persistent=False)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """The index follows from the sizes: whatever is done to all tensors (`to_empty` too), it stays right."""
        super()._apply(fn, recurse)
        self._make_index()
        return self

    def borrow(self, table: nn.Parameter, grid: Size) -> None:
        """Takes another network's table, for a map of `grid`, which has all distances of this one."""
        self.table, self.grid = table, grid
        self._make_index()

    def _make_index(self) -> None:
        index = distance_index(self.size, self.stride, self.grid)
        self.index = index if self.table.is_meta else index.to(self.table.device)

    def forward(self) -> Tensor:
        """(heads, queries, keys)"""
        return self.table[:, self.index.to(self.table.device)]


def distance_index(size: Size, stride: int, grid: Size) -> Tensor:
    """For each query and key, the column of a bias table: a new tensor on the CPU, whatever the default device is."""
    with torch.inference_mode(mode=False):
        return torch.from_numpy(_distances(size, stride, grid[1]).copy())


@functools.lru_cache(maxsize=128)
def _distances(size: Size, stride: int, columns: int) -> NDArray[np.int64]:
    """Kept as numbers: a tensor would remember the mode it was first made in."""

    def grid(step: int) -> NDArray[np.int64]:
        rows, columns = (np.arange(0, length, step) for length in size)
        return np.stack(np.meshgrid(rows, columns, indexing="ij")).reshape(2, -1)

    apart = np.abs(grid(stride)[:, :, None] - grid(1)[:, None, :])
    return apart[0] * columns + apart[1]


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(batch, heads * width, ...positions) -> (batch, heads, width, positions)"""
    return x.reshape(x.shape[0], heads, x.shape[1] // heads, -1)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Softmax attention on (batch, heads, width, positions), the layout convolutions leave behind."""
    out = F.scaled_dot_product_attention(q.transpose(-2, -1), k.transpose(-2, -1), v.transpose(-2, -1))
    return out.transpose(-2, -1)
