"""EfficientFormer V1's block on feature maps: average pooling mixes tokens at no cost."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from ..layers import Branch, Conv, branches, conv_chain, conv_chain_cost
from ..options import Cost, Expand, Kernel, LayerScale, Size, hidden_width
from .base import Block, layer_scale_cost
from .ffn import FFN_AXES, plain_ffn


class PoolingMixer(nn.Module):
    """Mean of the neighbourhood minus the position itself, which the residual adds again."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(kernel, stride=1, padding=kernel // 2, count_include_pad=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(x) - x


class Pooling(Block, tag="pooling", frozen=True):
    elastic: ClassVar = ("kernel", "expand")
    axes: ClassVar = FFN_AXES | {"mixer": ("width",)}

    kernel: Kernel
    expand: Expand
    layer_scale: LayerScale = 1e-5

    def convs(self, width: int) -> dict[str, Conv]:
        return plain_ffn(width, hidden_width(width, self.expand), bias=True)

    def module(self, width: int, size: Size) -> nn.Sequential:
        return branches(
            mixer=Branch(PoolingMixer(self.kernel), width, self.layer_scale),
            ffn=Branch(conv_chain(self.convs(width)), width, self.layer_scale),
        )

    def cost(self, width: int, size: Size) -> Cost:
        return conv_chain_cost(self.convs(width), size) + layer_scale_cost(width, self.layer_scale, 2)

    def summary(self) -> str:
        return f"pool {self.kernel}x{self.kernel}, FFN {self.expand:g}x"
