"""Stems: from pixels to the first feature map. `width` is always the stem's output width."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar

from torch import nn

from .blocks.lowformer import LOCAL_AXES, bottleneck
from .layers import ACTIVATIONS, Branch, Conv, conv_chain, conv_chain_cost
from .options import Cost, Expand, Kernel, Kind, Size, Stride, Width, hidden_width, strided
from .values import Choice, Limit, SpecError

MAX_STEM_DEPTH = 16


class Stem(Kind, frozen=True):
    width: Width

    @property
    @abstractmethod
    def stride(self) -> int:
        """Pixels per position of the output."""

    @abstractmethod
    def module(self, in_chans: int) -> nn.Sequential: ...

    @abstractmethod
    def cost(self, in_chans: int, size: Size) -> Cost: ...

    @abstractmethod
    def summary(self) -> str: ...


class ChainStem(Stem, frozen=True):
    """Two strided convolutions, the first with half the width, and what a subclass adds."""

    kernel: Kernel
    strides: tuple[Stride, Stride] = (2, 2)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width < 2:
            raise SpecError("width", f"{self.width} can't be halved for the first convolution")

    @property
    def stride(self) -> int:
        return self.strides[0] * self.strides[1]

    @abstractmethod
    def convs(self, in_chans: int) -> dict[str, Conv]: ...

    def module(self, in_chans: int) -> nn.Sequential:
        return conv_chain(self.convs(in_chans))

    def cost(self, in_chans: int, size: Size) -> Cost:
        return conv_chain_cost(self.convs(in_chans), size)


class ConvStem(ChainStem, tag="convs", kw_only=True, frozen=True):
    """EfficientFormer V1 and V2, Inception Transformer."""

    elastic: ClassVar = ("width", "kernel")
    axes: ClassVar = {"conv1": ("first", "pixels"), "conv2": ("width", "first")}

    act: Annotated[str, Choice(tuple(ACTIVATIONS))]
    last_act: bool = True

    def convs(self, in_chans: int) -> dict[str, Conv]:
        half, last_act = self.width // 2, self.act if self.last_act else None
        return {
            "conv1": Conv(in_chans, half, self.kernel, self.strides[0], bias=True, act=self.act),
            "conv2": Conv(half, self.width, self.kernel, self.strides[1], bias=True, act=last_act),
        }

    def summary(self) -> str:
        return f"2 convolutions {self.kernel}x{self.kernel}, {self.act}"


class ExpandStem(ChainStem, tag="expand", frozen=True):
    """iFormer: the second convolution widens to twice the output width, a third one narrows."""

    elastic: ClassVar = ("width", "kernel")
    axes: ClassVar = {"conv1": ("first", "pixels"), "conv2": ("wide", "first"), "conv3": ("width", "wide")}

    def convs(self, in_chans: int) -> dict[str, Conv]:
        half = self.width // 2
        return {
            "conv1": Conv(in_chans, half, self.kernel, self.strides[0], act="gelu"),
            "conv2": Conv(half, 4 * half, self.kernel, self.strides[1], act="gelu"),
            "conv3": Conv(4 * half, self.width),
        }

    def summary(self) -> str:
        return f"2 convolutions {self.kernel}x{self.kernel} and 1x1, gelu"


class MbConvStem(Stem, tag="mbconv", frozen=True):
    """LowFormer: one convolution, then `depth` bottlenecks. Stage 1 goes on with a downsample of its own."""

    elastic: ClassVar = ("width", "kernel", "depth", "expand")
    axes: ClassVar = {"conv1": ("width", "pixels")} | {
        layer.replace("local.", f"block{index}."): tuple(axis.replace("local", f"local{index}") for axis in axes)
        for index in range(1, MAX_STEM_DEPTH + 1)
        for layer, axes in LOCAL_AXES.items()
    }

    kernel: Kernel
    depth: Annotated[int, Limit(0, MAX_STEM_DEPTH)] = 0
    expand: Expand = 4.0
    fused: bool = True
    strides: tuple[Stride] = (2,)

    @property
    def stride(self) -> int:
        return self.strides[0]

    def conv(self, in_chans: int) -> Conv:
        return Conv(in_chans, self.width, self.kernel, self.strides[0], act="hardswish")

    def bottleneck(self) -> dict[str, Conv]:
        return bottleneck(self.width, self.width, hidden_width(self.width, self.expand), self.kernel, fused=self.fused)

    def module(self, in_chans: int) -> nn.Sequential:
        stem = conv_chain({"conv1": self.conv(in_chans)})
        for index in range(self.depth):
            stem.add_module(f"block{index + 1}", Branch(conv_chain(self.bottleneck()), self.width))
        return stem

    def cost(self, in_chans: int, size: Size) -> Cost:
        one = conv_chain_cost(self.bottleneck(), strided(size, self.stride))
        return self.conv(in_chans).cost(size) + Cost(self.depth * one.params, self.depth * one.macs)

    def summary(self) -> str:
        blocks = f" and {self.depth} x {'fused ' if self.fused else ''}MBConv {self.expand:g}x" if self.depth else ""
        return f"convolution {self.kernel}x{self.kernel}{blocks}, hardswish"


STEMS: dict[str, type[Stem]] = {kind.kind_name(): kind for kind in (ConvStem, ExpandStem, MbConvStem)}
