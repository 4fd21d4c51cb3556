"""Inception Transformer's block: high frequencies through convolution and max pooling, low ones through attention."""

from __future__ import annotations

from typing import Annotated, ClassVar

from torch import Tensor, nn

from ..layers import (
    MLP_AXES,
    Branch,
    ChannelNorm,
    NormedMlp,
    attend,
    attention_macs,
    branches,
    linear_cost,
    split_heads,
)
from ..options import Cost, Expand, Heads, HeadWidth, Kernel, LayerScale, Size, area, hidden_width
from ..values import Limit, SpecError
from .base import Block, check_fused_attention, head_count, layer_scale_cost

NORM_EPS = 1e-6


class PooledAttention(nn.Module):
    """Attention between means of `pool` x `pool` pixels, repeated to full size afterwards."""

    def __init__(self, heads: int, head_width: int, pool: int) -> None:
        super().__init__()
        width = heads * head_width
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.k = nn.Linear(width, width)
        self.v = nn.Linear(width, width)
        self.pool = nn.AvgPool2d(pool) if pool > 1 else nn.Identity()
        self.enlarge = nn.Upsample(scale_factor=pool) if pool > 1 else nn.Identity()

    def by_head(self, tokens: Tensor) -> Tensor:
        return split_heads(tokens.permute(0, 3, 1, 2), self.heads)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(x)
        tokens = x.permute(0, 2, 3, 1)
        mixed = attend(self.by_head(self.q(tokens)), self.by_head(self.k(tokens)), self.by_head(self.v(tokens)))
        return self.enlarge(mixed.reshape(x.shape))


class InceptionMixer(nn.Module):
    """The channels are, in this order, those of convolution, of max pooling and of attention.

    The authors join the three results before one depthwise and one 1x1 convolution; here each result has its own, and
    the sums are added up. It is the same function, and each weight can be sliced.
    """

    def __init__(self, width: int, heads: int, head_width: int, pool: int, kernel: int) -> None:
        super().__init__()
        low = heads * head_width
        half = (width - low) // 2
        self.parts = [half, half, low]
        self.norm = ChannelNorm(width, eps=NORM_EPS)
        self.conv = nn.Sequential()
        self.conv.add_module("expand", nn.Conv2d(half, 2 * half, 1, bias=False))
        self.conv.add_module("spatial", _depthwise(2 * half, kernel))
        self.conv.add_module("act", nn.GELU())
        self.conv.add_module("fuse", Branch(_depthwise(2 * half, kernel), 2 * half, droppable=False))
        self.pool = nn.Sequential()
        self.pool.add_module("pool", nn.MaxPool2d(kernel, stride=1, padding=kernel // 2))
        self.pool.add_module("expand", nn.Conv2d(half, 2 * half, 1))
        self.pool.add_module("act", nn.GELU())
        self.pool.add_module("fuse", Branch(_depthwise(2 * half, kernel), 2 * half, droppable=False))
        self.attention = nn.Sequential()
        self.attention.add_module("attend", PooledAttention(heads, head_width, pool))
        self.attention.add_module("fuse", Branch(_depthwise(low, kernel), low, droppable=False))
        self.project_conv = nn.Conv2d(2 * half, width, 1)
        self.project_pool = nn.Conv2d(2 * half, width, 1, bias=False)
        self.project_attention = nn.Conv2d(low, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        for_conv, for_pool, for_attention = self.norm(x).split(self.parts, dim=1)
        high = self.project_conv(self.conv(for_conv)) + self.project_pool(self.pool(for_pool))
        return high + self.project_attention(self.attention(for_attention))


def _depthwise(width: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width, bias=False)


class InceptionBlock(Block, tag="inception", frozen=True):
    """Attention takes heads * head_width channels; `kernel` is that of convolution, max pooling and fusing."""

    attends: ClassVar = True
    elastic: ClassVar = ("heads", "kernel", "expand", "pool")
    axes: ClassVar = {
        "mixer": ("width",),
        "mixer.body.norm": ("width",),
        "mixer.body.conv.expand": ("conv", "width:part"),
        "mixer.body.conv.spatial": ("conv",),
        "mixer.body.conv.fuse.body": ("conv",),
        "mixer.body.pool.expand": ("pool", "width:part"),
        "mixer.body.pool.fuse.body": ("pool",),
        "mixer.body.attention.attend.q": ("heads*head_width", "width:part"),
        "mixer.body.attention.attend.k": ("heads*head_width", "width:part"),
        "mixer.body.attention.attend.v": ("heads*head_width", "width:part"),
        "mixer.body.attention.fuse.body": ("heads*head_width",),
        "mixer.body.project_conv": ("width", "conv"),
        "mixer.body.project_pool": ("width", "pool"),
        "mixer.body.project_attention": ("width", "heads*head_width"),
        "ffn": ("width",),
        **MLP_AXES,
    }

    heads: Heads
    head_width: HeadWidth
    kernel: Kernel
    expand: Expand
    pool: Annotated[int, Limit(1, 8)] = 1
    layer_scale: LayerScale = None

    def check(self, width: int, size: Size) -> None:
        low = self.heads * self.head_width
        if width - low < 2 or (width - low) % 2:
            raise SpecError(
                "heads",
                f"{head_count(self.heads)} of {self.head_width} channels leave {width - low} of the width {width} for "
                "convolution and pooling, which takes an even number of at least 2",
            )
        if size[0] % self.pool or size[1] % self.pool:
            raise SpecError("pool", f"{self.pool} does not divide the feature map of {size[0]}x{size[1]}")
        check_fused_attention((size[0] // self.pool, size[1] // self.pool))

    def module(self, width: int, size: Size) -> nn.Sequential:
        mixer = InceptionMixer(width, self.heads, self.head_width, self.pool, self.kernel)
        mlp = NormedMlp(width, hidden_width(width, self.expand), NORM_EPS)
        return branches(mixer=Branch(mixer, width, self.layer_scale), ffn=Branch(mlp, width, self.layer_scale))

    def cost(self, width: int, size: Size) -> Cost:
        low, n = self.heads * self.head_width, area(size)
        half, pooled, taps = (width - low) // 2, n // self.pool**2, self.kernel**2
        joined = 4 * half + low
        return (
            Cost(params=2 * width)
            + linear_cost(half, 2 * half, n, bias=False)
            + linear_cost(taps, 2 * half, n, bias=False)
            + linear_cost(half, 2 * half, n)
            + linear_cost(low, 3 * low, pooled)
            + Cost(macs=attention_macs(self.heads, pooled, pooled, self.head_width, self.head_width))
            + linear_cost(taps, joined, n, bias=False)
            + linear_cost(joined, width, n)
            + NormedMlp.cost(width, hidden_width(width, self.expand), size)
            + layer_scale_cost(width, self.layer_scale, 2)
        )

    def summary(self) -> str:
        pooled = f" on {self.pool}x{self.pool} means" if self.pool > 1 else ""
        return f"inception: attention {head_count(self.heads)}{pooled}, MLP {self.expand:g}x"
