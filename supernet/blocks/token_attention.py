"""EfficientFormer V1's attention block: layer norm, multi-head attention with a position bias, perceptron."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from ..layers import MLP_AXES, Branch, NormedMlp, PositionBias, attention_macs, branches, linear_cost
from ..options import Cost, Expand, Heads, HeadWidth, LayerScale, Size, area, hidden_width
from .base import Block, check_biased_attention, head_count, layer_scale_cost

NORM_EPS = 1e-5


class TokenAttention(nn.Module):
    """Works on (batch, positions, channels); query, key and value are separate layers so that each can be sliced."""

    def __init__(self, width: int, heads: int, key_width: int, value_width: int, size: Size) -> None:
        super().__init__()
        self.heads = heads
        self.scale = key_width**-0.5
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.q = nn.Linear(width, heads * key_width)
        self.k = nn.Linear(width, heads * key_width)
        self.v = nn.Linear(width, heads * value_width)
        self.bias = PositionBias(heads, size)
        self.project = nn.Linear(heads * value_width, width)

    def by_head(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(x.flatten(2).transpose(1, 2))
        q, k, v = self.by_head(self.q(tokens)), self.by_head(self.k(tokens)), self.by_head(self.v(tokens))
        weights = ((q @ k.transpose(-2, -1)) * self.scale + self.bias()).softmax(dim=-1)
        mixed = (weights @ v).transpose(1, 2).flatten(2)
        return self.project(mixed).transpose(1, 2).reshape(x.shape)


class TokenAttentionBlock(Block, tag="token_attention", frozen=True):
    fixed_size: ClassVar[bool] = True
    attends: ClassVar = True
    elastic: ClassVar = ("heads", "key_width", "value_width", "expand")
    axes: ClassVar = {
        "mixer": ("width",),
        "mixer.body.norm": ("width",),
        "mixer.body.q": ("heads*key_width", "width"),
        "mixer.body.k": ("heads*key_width", "width"),
        "mixer.body.v": ("heads*value_width", "width"),
        "mixer.body.bias": ("heads",),
        "mixer.body.project": ("width", "heads*value_width"),
        "ffn": ("width",),
        **MLP_AXES,
    }

    heads: Heads
    key_width: HeadWidth
    value_width: HeadWidth
    expand: Expand
    layer_scale: LayerScale = 1e-5

    def check(self, width: int, size: Size) -> None:
        check_biased_attention(size, size, self.heads)

    def module(self, width: int, size: Size) -> nn.Sequential:
        attention = TokenAttention(width, self.heads, self.key_width, self.value_width, size)
        mlp = NormedMlp(width, hidden_width(width, self.expand), NORM_EPS)
        return branches(mixer=Branch(attention, width, self.layer_scale), ffn=Branch(mlp, width, self.layer_scale))

    def cost(self, width: int, size: Size) -> Cost:
        n, keys, values = area(size), self.heads * self.key_width, self.heads * self.value_width
        return (
            Cost(params=2 * width)
            + linear_cost(width, 2 * keys + values, n)
            + Cost(self.heads * n, attention_macs(self.heads, n, n, self.key_width, self.value_width))
            + linear_cost(values, width, n)
            + NormedMlp.cost(width, hidden_width(width, self.expand), size)
            + layer_scale_cost(width, self.layer_scale, 2)
        )

    def summary(self) -> str:
        return f"attention {head_count(self.heads)} {self.key_width}/{self.value_width}, MLP {self.expand:g}x"
