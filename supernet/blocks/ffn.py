"""Convolutional feed-forward networks, and the blocks that consist of one: EfficientFormerV2's and iFormer's."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from torch import nn

from ..layers import Branch, Conv, branches, conv_chain, conv_chain_cost
from ..options import Cost, Expand, Kernel, LayerScale, Size, hidden_width
from .base import Block, layer_scale_cost


def plain_ffn(width: int, hidden: int, bias: bool) -> dict[str, Conv]:
    """Widen, activate, narrow; each convolution is followed by a batch norm."""
    return {
        "expand": Conv(width, hidden, bias=bias, act="gelu"),
        "project": Conv(hidden, width, bias=bias),
    }


def mixing_ffn(width: int, hidden: int, kernel: int) -> dict[str, Conv]:
    """EfficientFormerV2: a depthwise convolution at the widest point takes the place of a token mixer."""
    return {
        "expand": Conv(width, hidden, bias=True, act="gelu"),
        "spatial": Conv(hidden, hidden, kernel, depthwise=True, bias=True, act="gelu"),
        "project": Conv(hidden, width, bias=True),
    }


FFN_AXES = {
    "ffn": ("width",),
    "ffn.body.mix": ("width",),
    "ffn.body.expand": ("hidden", "width"),
    "ffn.body.spatial": ("hidden",),
    "ffn.body.project": ("width", "hidden"),
}


class FfnBlock(Block, frozen=True):
    """A block of one branch, a chain of convolutions."""

    elastic: ClassVar = ("kernel", "expand")
    axes: ClassVar = FFN_AXES

    kernel: Kernel
    expand: Expand
    layer_scale: LayerScale = None

    @abstractmethod
    def convs(self, width: int) -> dict[str, Conv]: ...

    def module(self, width: int, size: Size) -> nn.Sequential:
        return branches(ffn=Branch(conv_chain(self.convs(width)), width, self.layer_scale))

    def cost(self, width: int, size: Size) -> Cost:
        return conv_chain_cost(self.convs(width), size) + layer_scale_cost(width, self.layer_scale, 1)


class ConvFfn(FfnBlock, tag="conv_ffn", frozen=True):
    """EfficientFormerV2's block without attention."""

    layer_scale: LayerScale = 1e-5

    def convs(self, width: int) -> dict[str, Conv]:
        return mixing_ffn(width, hidden_width(width, self.expand), self.kernel)

    def summary(self) -> str:
        return f"FFN {self.expand:g}x with {self.kernel}x{self.kernel} depthwise"


class DepthwiseBlock(FfnBlock, tag="conv", frozen=True):
    """iFormer's convolution block: depthwise, widen, narrow, as in ConvNeXt but with batch norm."""

    def convs(self, width: int) -> dict[str, Conv]:
        ffn = plain_ffn(width, hidden_width(width, self.expand), bias=False)
        return {"mix": Conv(width, width, self.kernel, depthwise=True)} | ffn

    def summary(self) -> str:
        return f"conv {self.kernel}x{self.kernel}, FFN {self.expand:g}x"
