"""All kinds of blocks by name. A new kind is one file with a `Block` subclass, and its line here."""

from __future__ import annotations

from .base import Block, block_cost
from .ffn import ConvFfn, DepthwiseBlock
from .inception import InceptionBlock
from .lowformer import ConvAttentionBlock, MbConv
from .map_attention import AttentionFfn
from .modulation import ModulationBlock
from .pooling import Pooling
from .token_attention import TokenAttentionBlock

BLOCKS: dict[str, type[Block]] = {
    kind.kind_name(): kind
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
}

__all__ = ["BLOCKS", "Block", "block_cost"]
