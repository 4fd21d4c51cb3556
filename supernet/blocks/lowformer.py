"""LowFormer's blocks: plain and fused inverted bottlenecks, and attention on a reduced map between convolutions."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from ..layers import (
    Branch,
    Conv,
    attend,
    attention_macs,
    branches,
    conv_chain,
    conv_chain_cost,
    linear_cost,
    split_heads,
)
from ..options import Cost, Expand, Heads, HeadWidth, Kernel, Size, Stride, area, hidden_width, strided
from ..values import SpecError
from .base import Block, check_fused_attention, head_count


def bottleneck(
    width_in: int, width_out: int, hidden: int, kernel: int, *, fused: bool, bias: bool = False, stride: int = 1
) -> dict[str, Conv]:
    """Fused: one dense convolution widens. Otherwise 1x1, depthwise, 1x1, of which only the last has a norm."""
    if fused:
        return {
            "spatial": Conv(width_in, hidden, kernel, stride, bias=bias, act="hardswish"),
            "project": Conv(hidden, width_out),
        }
    return {
        "expand": Conv(width_in, hidden, bias=bias, norm=False, act="hardswish"),
        "spatial": Conv(hidden, hidden, kernel, stride, depthwise=True, bias=bias, norm=False, act="hardswish"),
        "project": Conv(hidden, width_out),
    }


LOCAL_AXES = {
    "local.body.expand": ("local", "width"),
    "local.body.spatial": ("local", "width"),
    "local.body.project": ("width", "local"),
}


class MbConv(Block, tag="mbconv", frozen=True):
    elastic: ClassVar = ("kernel", "expand")
    axes: ClassVar = LOCAL_AXES

    kernel: Kernel
    expand: Expand
    fused: bool
    bias: bool = False

    def convs(self, width: int) -> dict[str, Conv]:
        hidden = hidden_width(width, self.expand)
        return bottleneck(width, width, hidden, self.kernel, fused=self.fused, bias=self.bias)

    def module(self, width: int, size: Size) -> nn.Sequential:
        return branches(local=Branch(conv_chain(self.convs(width)), width))

    def cost(self, width: int, size: Size) -> Cost:
        return conv_chain_cost(self.convs(width), size)

    def summary(self) -> str:
        return f"{'fused ' if self.fused else ''}MBConv {self.kernel}x{self.kernel}, {self.expand:g}x"


class ConvAttention(nn.Module):
    """Attention on a map that a depthwise convolution reduced; a transposed convolution brings back size and width."""

    def __init__(self, reduce: Conv, heads: int, head_width: int, norm: bool) -> None:
        super().__init__()
        width, inner, stride = reduce.width_in, heads * head_width, reduce.stride
        self.heads = heads
        self.norm = nn.GroupNorm(1, width) if norm else nn.Identity()
        self.reduce = reduce.module()
        self.q = nn.Conv2d(width, inner, 1, bias=False)
        self.k = nn.Conv2d(width, inner, 1, bias=False)
        self.v = nn.Conv2d(width, inner, 1, bias=False)
        kernel, padding = (3, 1) if stride == 1 else (2 * stride, stride // 2)
        self.enlarge = nn.ConvTranspose2d(inner, width, kernel, stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        reduced = self.reduce(self.norm(x))
        q = self.q(reduced)
        mixed = attend(
            split_heads(q, self.heads),
            split_heads(self.k(reduced), self.heads),
            split_heads(self.v(reduced), self.heads),
        )
        out = self.enlarge(mixed.reshape(q.shape))
        return out[:, :, : x.shape[2], : x.shape[3]]  # an odd map comes back one pixel larger


class ConvMlp(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, width)
        self.expand = nn.Conv2d(width, hidden, 1)
        self.act = nn.GELU()
        self.project = nn.Conv2d(hidden, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(self.act(self.expand(self.norm(x))))


class ConvAttentionBlock(Block, tag="conv_attention", frozen=True):
    """`kernel` and `stride` belong to the convolution before attention, the local_ options to the bottleneck after it.

    Without `mlp_expand` the block has neither perceptron nor group norm, as LowFormer-E3.
    """

    attends: ClassVar = True
    elastic: ClassVar = ("heads", "head_width", "kernel", "mlp_expand", "local_kernel", "local_expand")
    axes: ClassVar = LOCAL_AXES | {
        "mixer.body.norm": ("width",),
        "mixer.body.reduce": ("width",),
        "mixer.body.q": ("heads*head_width", "width"),
        "mixer.body.k": ("heads*head_width", "width"),
        "mixer.body.v": ("heads*head_width", "width"),
        "mixer.body.enlarge": ("width", "heads*head_width"),
        "ffn.body.norm": ("width",),
        "ffn.body.expand": ("hidden", "width"),
        "ffn.body.project": ("width", "hidden"),
    }

    heads: Heads
    head_width: HeadWidth
    kernel: Kernel
    stride: Stride
    mlp_expand: Expand | None
    local_kernel: Kernel
    local_expand: Expand
    local_fused: bool

    def check(self, width: int, size: Size) -> None:
        check_fused_attention(strided(size, self.stride))
        if self.mlp_expand is not None and width * area(size) < 2:
            raise SpecError("mlp_expand", "group norm over a single value is not defined: width 1 on a map of 1x1")

    def reduce(self, width: int) -> Conv:
        return Conv(width, width, self.kernel, self.stride, depthwise=True)

    def local(self, width: int) -> dict[str, Conv]:
        hidden = hidden_width(width, self.local_expand)
        return bottleneck(width, width, hidden, self.local_kernel, fused=self.local_fused, bias=True)

    def module(self, width: int, size: Size) -> nn.Sequential:
        has_mlp = self.mlp_expand is not None
        named = {"mixer": Branch(ConvAttention(self.reduce(width), self.heads, self.head_width, norm=has_mlp), width)}
        if self.mlp_expand is not None:
            named["ffn"] = Branch(ConvMlp(width, hidden_width(width, self.mlp_expand)), width)
        return branches(**named, local=Branch(conv_chain(self.local(width)), width))

    def cost(self, width: int, size: Size) -> Cost:
        inner, reduced = self.heads * self.head_width, strided(size, self.stride)
        n, taps = area(reduced), 9 if self.stride == 1 else 4 * self.stride**2
        mlp = Cost()
        if self.mlp_expand is not None:
            hidden = hidden_width(width, self.mlp_expand)
            mlp = linear_cost(width, hidden, area(size)) + linear_cost(hidden, width, area(size))
            mlp += Cost(params=4 * width)
        return (
            self.reduce(width).cost(size)
            + linear_cost(width, 3 * inner, n, bias=False)
            + Cost(macs=attention_macs(self.heads, n, n, self.head_width, self.head_width))
            + Cost(inner * width * taps + width, inner * width * taps * n)
            + mlp
            + conv_chain_cost(self.local(width), size)
        )

    def summary(self) -> str:
        where = " at half size" if self.stride == 2 else ""
        mlp = f", MLP {self.mlp_expand:g}x" if self.mlp_expand is not None else ""
        local = f"{'fused ' if self.local_fused else ''}MBConv {self.local_expand:g}x"
        return f"attention {head_count(self.heads)}{where}{mlp}, {local}"
