"""EfficientFormerV2's attention on feature maps: talking heads, a local branch on the values, half size on demand."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from ..layers import (
    Branch,
    Conv,
    PositionBias,
    attention_macs,
    branches,
    conv_chain,
    conv_chain_cost,
    split_heads,
)
from ..options import (
    Cost,
    Expand,
    Heads,
    HeadWidth,
    Kernel,
    LayerScale,
    Size,
    Stride,
    area,
    hidden_width,
    strided,
    total,
)
from ..values import SpecError
from .base import Block, check_biased_attention, head_count, layer_scale_cost
from .ffn import FFN_AXES, mixing_ffn


class MapAttention(nn.Module):
    """`convs` holds query, key, value, local, project and, for attention at half size, reduce."""

    def __init__(self, convs: dict[str, Conv], heads: int, key_width: int, size: Size) -> None:
        super().__init__()
        self.heads = heads
        self.scale = key_width**-0.5
        self.reduce = convs["reduce"].module() if "reduce" in convs else None
        self.q = convs["q"].module()
        self.k = convs["k"].module()
        self.v = convs["v"].module()
        self.local = convs["local"].module()
        self.bias = PositionBias(heads, size)
        self.talk_before = nn.Conv2d(heads, heads, 1)
        self.talk_after = nn.Conv2d(heads, heads, 1)
        self.enlarge = None if self.reduce is None else nn.Upsample(scale_factor=2, mode="bilinear")
        self.act = nn.GELU()
        self.project = convs["project"].module()

    def forward(self, x: Tensor) -> Tensor:
        if self.reduce is not None:
            x = self.reduce(x)
        v_map = self.v(x)
        local = self.local(v_map)
        q, k, v = split_heads(self.q(x), self.heads), split_heads(self.k(x), self.heads), split_heads(v_map, self.heads)
        weights = (q.transpose(-2, -1) @ k) * self.scale + self.bias()
        weights = self.talk_after(self.talk_before(weights).softmax(dim=-1))
        mixed = (v @ weights.transpose(-2, -1)).reshape(local.shape) + local
        if self.enlarge is not None:
            mixed = self.enlarge(mixed)
        return self.project(self.act(mixed))


class AttentionFfn(Block, tag="attention_ffn", frozen=True):
    """EfficientFormerV2's block with attention. `kernel` is that of all depthwise convolutions."""

    fixed_size: ClassVar[bool] = True
    attends: ClassVar = True
    elastic: ClassVar = ("heads", "key_width", "value_width", "kernel", "expand")
    axes: ClassVar = FFN_AXES | {
        "mixer": ("width",),
        "mixer.body.reduce": ("width",),
        "mixer.body.q": ("heads*key_width", "width"),
        "mixer.body.k": ("heads*key_width", "width"),
        "mixer.body.v": ("heads*value_width", "width"),
        "mixer.body.local": ("heads*value_width",),
        "mixer.body.bias": ("heads",),
        "mixer.body.talk_before": ("heads", "heads"),
        "mixer.body.talk_after": ("heads", "heads"),
        "mixer.body.project": ("width", "heads*value_width"),
    }

    heads: Heads
    key_width: HeadWidth
    value_width: HeadWidth
    kernel: Kernel
    expand: Expand
    stride: Stride = 1
    layer_scale: LayerScale = 1e-5

    def check(self, width: int, size: Size) -> None:
        if self.stride == 2 and (size[0] % 2 or size[1] % 2):
            raise SpecError("stride", f"2 needs an even feature map, this one is {size[0]}x{size[1]}")
        check_biased_attention(strided(size, self.stride), strided(size, self.stride), self.heads)

    def convs(self, width: int) -> dict[str, Conv]:
        keys, values = self.heads * self.key_width, self.heads * self.value_width
        reduce = (
            {"reduce": Conv(width, width, self.kernel, stride=2, depthwise=True, bias=True)} if self.stride == 2 else {}
        )
        return reduce | {
            "q": Conv(width, keys, bias=True),
            "k": Conv(width, keys, bias=True),
            "v": Conv(width, values, bias=True),
            "local": Conv(values, values, self.kernel, depthwise=True, bias=True),
            "project": Conv(values, width, bias=True),
        }

    def ffn(self, width: int) -> dict[str, Conv]:
        return mixing_ffn(width, hidden_width(width, self.expand), self.kernel)

    def module(self, width: int, size: Size) -> nn.Sequential:
        attention = MapAttention(self.convs(width), self.heads, self.key_width, strided(size, self.stride))
        return branches(
            mixer=Branch(attention, width, self.layer_scale),
            ffn=Branch(conv_chain(self.ffn(width)), width, self.layer_scale),
        )

    def cost(self, width: int, size: Size) -> Cost:
        convs, inner = self.convs(width), strided(size, self.stride)
        n = area(inner)
        reduce = convs.pop("reduce").cost(size) if self.stride == 2 else Cost()
        project = convs.pop("project").cost(size)
        talking = Cost(2 * self.heads * (self.heads + 1), 2 * self.heads**2 * n**2)
        return (
            reduce
            + project
            + total(conv.cost(inner) for conv in convs.values())
            + talking
            + Cost(self.heads * n, attention_macs(self.heads, n, n, self.key_width, self.value_width))
            + conv_chain_cost(self.ffn(width), size)
            + layer_scale_cost(width, self.layer_scale, 2)
        )

    def summary(self) -> str:
        where = " at half size" if self.stride == 2 else ""
        return f"attention {head_count(self.heads)} {self.key_width}/{self.value_width}{where}, FFN {self.expand:g}x"
