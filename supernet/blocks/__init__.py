"""All kinds of blocks by name. A new kind is one file with a `Block` subclass, and its line here; own_blocks.py adds a
user's own."""

from __future__ import annotations

from ..values import Registry
from .base import Block, block_cost
from .ffn import ConvFfn, DepthwiseBlock
from .inception import InceptionBlock
from .lowformer import ConvAttentionBlock, MbConv
from .map_attention import AttentionFfn
from .modulation import ModulationBlock
from .pooling import Pooling
from .token_attention import TokenAttentionBlock

BLOCKS: Registry[type[Block]] = Registry(
    (kind.kind_name(), kind)
    for kind in (
        Pooling,
        TokenAttentionBlock,
        ConvFfn,
        AttentionFfn,
        DepthwiseBlock,
        ModulationBlock,
        InceptionBlock,
        MbConv,
        ConvAttentionBlock,
    )
)

__all__ = ["BLOCKS", "Block", "block_cost"]
