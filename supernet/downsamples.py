"""Downsamples: what stands before the blocks of a stage, halves the feature map and changes the width."""

from __future__ import annotations

import functools
from abc import abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from .blocks.base import check_biased_attention, head_count
from .blocks.lowformer import bottleneck
from .layers import Conv, ConvNorm, PositionBias, attention_macs, conv_chain, conv_chain_cost, split_heads
from .options import Cost, Expand, Heads, HeadWidth, Kernel, Kind, Size, area, hidden_width, strided


class Downsample(Kind, frozen=True):
    fixed_size: ClassVar[bool] = False
    """Whether the module has tables for the size it was made for."""

    def check(self, size: Size) -> None:
        """Raises SpecError where these options don't fit this feature map."""

    @abstractmethod
    def module(self, width_in: int, width: int, size: Size) -> nn.Module: ...

    @abstractmethod
    def cost(self, width_in: int, width: int, size: Size) -> Cost: ...

    @abstractmethod
    def summary(self) -> str: ...


class ConvDownsample(Downsample, tag="conv", frozen=True):
    elastic: ClassVar = ("kernel",)
    axes: ClassVar = {"": ("width", "width_in")}

    kernel: Kernel
    bias: bool

    def conv(self, width_in: int, width: int) -> Conv:
        return Conv(width_in, width, self.kernel, stride=2, bias=self.bias)

    def module(self, width_in: int, width: int, size: Size) -> ConvNorm:
        return self.conv(width_in, width).module()

    def cost(self, width_in: int, width: int, size: Size) -> Cost:
        return self.conv(width_in, width).cost(size)

    def summary(self) -> str:
        return f"convolution {self.kernel}x{self.kernel}"


class MbConvDownsample(Downsample, tag="mbconv", frozen=True):
    """LowFormer."""

    elastic: ClassVar = ("kernel", "expand")
    axes: ClassVar = {
        "expand": ("hidden", "width_in"),
        "spatial": ("hidden", "width_in"),
        "project": ("width", "hidden"),
    }

    kernel: Kernel
    expand: Expand
    fused: bool

    def convs(self, width_in: int, width: int) -> dict[str, Conv]:
        hidden = hidden_width(width_in, self.expand)
        return bottleneck(width_in, width, hidden, self.kernel, fused=self.fused, stride=2)

    def module(self, width_in: int, width: int, size: Size) -> nn.Sequential:
        return conv_chain(self.convs(width_in, width))

    def cost(self, width_in: int, width: int, size: Size) -> Cost:
        return conv_chain_cost(self.convs(width_in, width), size)

    def summary(self) -> str:
        return f"{'fused ' if self.fused else ''}MBConv {self.kernel}x{self.kernel}, {self.expand:g}x"


class StridedAttention(nn.Module):
    """Queries from every second row and column, keys and values from all: EfficientFormerV2."""

    def __init__(self, convs: dict[str, Conv], heads: int, key_width: int, size: Size) -> None:
        super().__init__()
        self.heads = heads
        self.scale = key_width**-0.5
        self.subsample = nn.AvgPool2d(1, 2)
        self.query_local = convs["query_local"].module()
        self.q = convs["q"].module()
        self.k = convs["k"].module()
        self.v = convs["v"].module()
        self.local = convs["local"].module()
        self.bias = PositionBias(heads, size, stride=2)
        self.act = nn.GELU()
        self.project = convs["project"].module()

    def forward(self, x: Tensor) -> Tensor:
        v_map = self.v(x)
        local = self.local(v_map)
        q = split_heads(self.q(self.query_local(x) + self.subsample(x)), self.heads)
        k, v = split_heads(self.k(x), self.heads), split_heads(v_map, self.heads)
        weights = ((q.transpose(-2, -1) @ k) * self.scale + self.bias()).softmax(dim=-1)
        mixed = (v @ weights.transpose(-2, -1)).reshape(local.shape) + local
        return self.project(self.act(mixed))


class ConvAndAttention(nn.Module):
    def __init__(self, conv: ConvNorm, attention: StridedAttention) -> None:
        super().__init__()
        self.conv = conv
        self.attention = attention

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x) + self.conv(x)


class AttentionDownsample(Downsample, tag="attention", frozen=True):
    """A strided convolution and a strided attention, added up."""

    fixed_size: ClassVar[bool] = True
    elastic: ClassVar = ("kernel", "heads", "key_width", "value_width")
    axes: ClassVar = {
        "conv": ("width", "width_in"),
        "attention.query_local": ("width_in",),
        "attention.q": ("heads*key_width", "width_in"),
        "attention.k": ("heads*key_width", "width_in"),
        "attention.v": ("heads*value_width", "width_in"),
        "attention.local": ("heads*value_width",),
        "attention.bias": ("heads",),
        "attention.project": ("width", "heads*value_width"),
    }

    kernel: Kernel
    heads: Heads
    key_width: HeadWidth
    value_width: HeadWidth

    def check(self, size: Size) -> None:
        check_biased_attention(strided(size, 2), size, self.heads)

    def conv(self, width_in: int, width: int) -> Conv:
        return Conv(width_in, width, self.kernel, stride=2, bias=True)

    def convs(self, width_in: int, width: int) -> dict[str, Conv]:
        keys, values = self.heads * self.key_width, self.heads * self.value_width
        return {
            "query_local": Conv(width_in, width_in, self.kernel, stride=2, depthwise=True, bias=True, norm=False),
            "q": Conv(width_in, keys, bias=True),
            "k": Conv(width_in, keys, bias=True),
            "v": Conv(width_in, values, bias=True),
            "local": Conv(values, values, self.kernel, stride=2, depthwise=True, bias=True),
            "project": Conv(values, width, bias=True),
        }

    def module(self, width_in: int, width: int, size: Size) -> ConvAndAttention:
        attention = StridedAttention(self.convs(width_in, width), self.heads, self.key_width, size)
        return ConvAndAttention(self.conv(width_in, width).module(), attention)

    def cost(self, width_in: int, width: int, size: Size) -> Cost:
        convs, out = self.convs(width_in, width), strided(size, 2)
        at_full_size = ("query_local", "k", "v", "local")
        cost = self.conv(width_in, width).cost(size)
        for name, conv in convs.items():
            cost += conv.cost(size if name in at_full_size else out)
        macs = attention_macs(self.heads, area(out), area(size), self.key_width, self.value_width)
        return cost + Cost(self.heads * area(size), macs)

    def summary(self) -> str:
        return f"convolution {self.kernel}x{self.kernel} + attention {head_count(self.heads)}"


DOWNSAMPLES: dict[str, type[Downsample]] = {
    kind.kind_name(): kind for kind in (ConvDownsample, MbConvDownsample, AttentionDownsample)
}


@functools.lru_cache(maxsize=65536)
def downsample_cost(downsample: Downsample, width_in: int, width: int, size: Size) -> Cost:
    downsample.check(size)
    return downsample.cost(width_in, width, size)
