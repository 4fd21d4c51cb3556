"""The five published families, by the parts their networks are made of, and `hybrid`, which may mix all of them."""

from __future__ import annotations

from dataclasses import dataclass

from .blocks import BLOCKS
from .downsamples import DOWNSAMPLES
from .heads import HEADS
from .stems import STEMS
from .values import Registry


@dataclass(frozen=True)
class Family:
    title: str
    stems: tuple[str, ...]
    downsamples: tuple[str, ...]
    blocks: tuple[str, ...]
    heads: tuple[str, ...]
    position_tables: bool = False
    """Whether stages may add a learned position table."""
    distilled: bool = True
    """Whether the family has a second classifier for distillation."""


FAMILIES: Registry[Family] = Registry(
    {
        "efficientformer": Family(
            "EfficientFormer (2022)", ("convs",), ("conv",), ("pooling", "token_attention"), ("norm_pool",)
        ),
        "efficientformerv2": Family(
            "EfficientFormerV2 (2022)", ("convs",), ("conv", "attention"), ("conv_ffn", "attention_ffn"), ("norm_pool",)
        ),
        "iformer": Family("iFormer (2025)", ("expand",), ("conv",), ("conv", "modulation"), ("pool_norm",)),
        "inception": Family(
            "Inception Transformer (2022)",
            ("convs",),
            ("conv",),
            ("inception",),
            ("norm_pool",),
            position_tables=True,
            distilled=False,
        ),
        "lowformer": Family(
            "LowFormer (2024)", ("mbconv",), ("mbconv",), ("mbconv", "conv_attention"), ("conv_pool",), distilled=False
        ),
        "hybrid": Family(
            "blocks of several families",
            tuple(STEMS),
            tuple(DOWNSAMPLES),
            tuple(BLOCKS),
            tuple(HEADS),
            position_tables=True,
        ),
    }
)
