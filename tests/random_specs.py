"""Small random networks of every kind of part, for properties that must hold for all specs."""

from __future__ import annotations

import random

from supernet import NetSpec, SpecError, Stage
from supernet.blocks import Block
from supernet.blocks.ffn import ConvFfn, DepthwiseBlock
from supernet.blocks.inception import InceptionBlock
from supernet.blocks.lowformer import ConvAttentionBlock, MbConv
from supernet.blocks.map_attention import AttentionFfn
from supernet.blocks.modulation import ModulationBlock
from supernet.blocks.pooling import Pooling
from supernet.blocks.token_attention import TokenAttentionBlock
from supernet.downsamples import AttentionDownsample, ConvDownsample, Downsample, MbConvDownsample
from supernet.heads import ConvPool, Head, NormPool, PoolNorm
from supernet.stems import ConvStem, ExpandStem, MbConvStem, Stem


def random_block(r: random.Random) -> Block:
    kernel, expand, heads = r.choice((1, 3, 5, 7)), r.choice((1, 1.5, 2, 3.7)), r.choice((1, 2, 3))
    scale = r.choice((None, 1e-5, 0.1))
    return r.choice(
        (
            lambda: Pooling(kernel=r.choice((kernel, 9)), expand=expand, layer_scale=scale),
            lambda: TokenAttentionBlock(heads=heads, key_width=4, value_width=r.choice((4, 6)), expand=expand),
            lambda: ConvFfn(kernel=kernel, expand=expand, layer_scale=scale),
            lambda: AttentionFfn(
                heads=heads, key_width=4, value_width=6, kernel=kernel, expand=expand, stride=r.choice((1, 2))
            ),
            lambda: DepthwiseBlock(kernel=kernel, expand=expand, layer_scale=scale),
            lambda: ModulationBlock(
                kernel=kernel, reduction=r.choice((1, 2, 4)), expand=expand, window=r.choice((None, None, 3, 4))
            ),
            lambda: InceptionBlock(heads=heads, head_width=2, kernel=kernel, expand=expand, pool=r.choice((1, 2))),
            lambda: MbConv(kernel=kernel, expand=expand, fused=r.choice((True, False)), bias=r.choice((True, False))),
            lambda: ConvAttentionBlock(
                heads=heads,
                head_width=4,
                kernel=r.choice((3, 5)),
                stride=r.choice((1, 2)),
                mlp_expand=r.choice((None, 2)),
                local_kernel=kernel,
                local_expand=expand,
                local_fused=r.choice((True, False)),
            ),
        )
    )()


def random_stem(r: random.Random) -> Stem:
    width, kernel, strides = r.choice((4, 8, 12, 16)), r.choice((3, 5)), r.choice(((2, 2), (2, 1), (1, 1)))
    return r.choice(
        (
            lambda: ConvStem(
                width=width,
                kernel=kernel,
                strides=strides,
                act=r.choice(("relu", "gelu", "hardswish")),
                last_act=r.random() < 0.5,
            ),
            lambda: ExpandStem(width=width, kernel=kernel, strides=strides),
            lambda: MbConvStem(
                width=width,
                kernel=kernel,
                depth=r.choice((0, 1, 2)),
                fused=r.choice((True, False)),
                strides=r.choice(((1,), (2,))),
            ),
        )
    )()


def random_downsample(r: random.Random) -> Downsample:
    return r.choice(
        (
            lambda: ConvDownsample(kernel=r.choice((3, 5)), bias=r.choice((True, False))),
            lambda: MbConvDownsample(kernel=3, expand=r.choice((1, 2.5)), fused=r.choice((True, False))),
            lambda: AttentionDownsample(kernel=3, heads=2, key_width=4, value_width=6),
        )
    )()


def random_head(r: random.Random) -> Head:
    return r.choice(
        (NormPool(norm="layer"), NormPool(norm="batch"), PoolNorm(), ConvPool(map_width=24, vector_width=20))
    )


def random_spec(r: random.Random) -> NetSpec:
    """A valid hybrid network; draws again where parts don't fit together."""
    while True:
        stem = random_stem(r)
        stages = []
        for index in range(r.choice((1, 2, 3))):
            down = random_downsample(r) if index or r.random() < 0.3 else None
            width = r.choice((6, 8, 12, 16, 20)) if down else (stages[-1].width if stages else stem.width)
            blocks = tuple(random_block(r) for _ in range(r.choice((0, 1, 2, 3))))
            stages.append(Stage(width=width, downsample=down, blocks=blocks, position_table=r.random() < 0.2))
        try:
            return NetSpec(
                family="hybrid",
                stem=stem,
                stages=tuple(stages),
                head=random_head(r),
                resolution=r.choice((16, 24, 32, (24, 32))),
                in_chans=r.choice((1, 3)),
                num_classes=r.choice((0, 5)),
                distilled=r.random() < 0.3,
            )
        except SpecError:
            continue
