"""A small part of every kind with its input shape: what every export must carry over."""

from __future__ import annotations

from collections.abc import Callable

from filling import lived_in
from torch import nn

from supernet.blocks.ffn import ConvFfn, DepthwiseBlock
from supernet.blocks.inception import InceptionBlock
from supernet.blocks.lowformer import ConvAttentionBlock, MbConv
from supernet.blocks.map_attention import AttentionFfn
from supernet.blocks.modulation import ModulationBlock
from supernet.blocks.pooling import Pooling
from supernet.blocks.token_attention import TokenAttentionBlock
from supernet.downsamples import AttentionDownsample, ConvDownsample, MbConvDownsample
from supernet.heads import ConvPool, Head, NormPool, PoolNorm
from supernet.layers import PositionTable
from supernet.stems import ConvStem, ExpandStem, MbConvStem

WIDTH, SIZE = 12, (6, 8)

_local = {"local_kernel": 3, "local_expand": 2}
BLOCKS = {
    "pooling": Pooling(kernel=3, expand=2),
    "token_attention": TokenAttentionBlock(heads=2, key_width=4, value_width=6, expand=2),
    "conv_ffn": ConvFfn(kernel=3, expand=2),
    "attention_ffn": AttentionFfn(heads=2, key_width=4, value_width=6, kernel=3, expand=2),
    "attention_ffn at half size": AttentionFfn(heads=2, key_width=4, value_width=6, kernel=3, expand=2, stride=2),
    "conv": DepthwiseBlock(kernel=5, expand=1.5, layer_scale=0.1),
    "modulation": ModulationBlock(kernel=3, reduction=2, expand=2),
    "modulation in windows": ModulationBlock(kernel=3, reduction=4, expand=2, window=4, layer_scale=0.1),
    "inception": InceptionBlock(heads=2, head_width=2, kernel=3, expand=2),
    "inception on means": InceptionBlock(heads=2, head_width=2, kernel=3, expand=2, pool=2, layer_scale=0.1),
    "mbconv": MbConv(kernel=3, expand=2, fused=False, bias=True),
    "fused mbconv": MbConv(kernel=3, expand=2, fused=True),
    "conv_attention": ConvAttentionBlock(2, 4, kernel=3, stride=1, mlp_expand=2, local_fused=True, **_local),
    "conv_attention at half size": ConvAttentionBlock(
        2, 4, kernel=5, stride=2, mlp_expand=2, local_fused=False, **_local
    ),
    "conv_attention without MLP": ConvAttentionBlock(
        2, 4, kernel=3, stride=2, mlp_expand=None, local_fused=True, **_local
    ),
}
STEMS = {
    "convs, relu": ConvStem(width=WIDTH, kernel=3, act="relu"),
    "convs, gelu": ConvStem(width=WIDTH, kernel=3, act="gelu", strides=(2, 1), last_act=False),
    "expand": ExpandStem(width=WIDTH, kernel=5),
    "mbconv": MbConvStem(width=WIDTH, kernel=3, depth=2),
}
DOWNSAMPLES = {
    "conv": ConvDownsample(kernel=3, bias=False),
    "mbconv": MbConvDownsample(kernel=3, expand=2, fused=False),
    "fused mbconv": MbConvDownsample(kernel=3, expand=2, fused=True),
    "attention": AttentionDownsample(kernel=3, heads=2, key_width=4, value_width=6),
}
HEADS = {
    "norm_pool, layer": (NormPool(norm="layer", eps=1e-6), False, 5),
    "norm_pool, batch": (NormPool(norm="batch"), True, 5),
    "norm_pool without classifier": (NormPool(norm="batch"), False, 0),
    "pool_norm": (PoolNorm(), True, 5),
    "conv_pool": (ConvPool(map_width=16, vector_width=20), False, 5),
}


class NormAndHead(nn.Module):
    def __init__(self, head: Head, num_classes: int, distilled: bool) -> None:
        super().__init__()
        self.norm = head.final_norm(WIDTH)
        self.head = head.module(WIDTH)
        self.head.classifier = head.classifier(WIDTH, num_classes, distilled)

    def forward(self, x):
        return self.head(self.norm(x))


def _makers() -> dict[str, Callable[[], tuple[nn.Module, tuple[int, ...]]]]:
    def block(name: str, size: tuple[int, int]):
        return lambda: (BLOCKS[name].module(WIDTH, size), (1, WIDTH, *size))

    made = {name: block(name, SIZE) for name in BLOCKS}
    # An odd map: padded windows, a transposed convolution that overshoots.
    for name in ("modulation in windows", "conv_attention at half size", "pooling"):
        made[f"{name}, odd map"] = block(name, (7, 5))
    for name, stem in STEMS.items():
        made[f"stem {name}"] = lambda stem=stem: (stem.module(3), (1, 3, 16, 24))
    for name, down in DOWNSAMPLES.items():
        made[f"downsample {name}"] = lambda down=down: (down.module(WIDTH, 20, SIZE), (1, WIDTH, *SIZE))
    made["position table"] = lambda: (PositionTable(WIDTH, SIZE), (1, WIDTH, *SIZE))
    for name, head in HEADS.items():
        made[f"head {name}"] = lambda head=head: (NormAndHead(head[0], head[2], head[1]), (1, WIDTH, *SIZE))
    return made


def part_names() -> list[str]:
    return list(_makers())


def part(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    """Norms, tables and layer scales are as training might leave them, so that no branch hides."""
    module, shape = _makers()[name]()
    return lived_in(module).eval(), shape
