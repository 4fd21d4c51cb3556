"""The exchangeable pieces of a network as values: where one stands, and all that its module depends on.

Equal pieces have equal modules, so that whoever makes networks by the thousand can keep them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn

from .blocks import Block
from .downsamples import Downsample
from .heads import Head
from .layers import PositionTable
from .options import Kind, Size
from .stems import Stem

Axes = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class StemPiece:
    stem: Stem
    in_chans: int

    path = "stem"
    streams = {"width": "stem"}  # noqa: RUF012  a constant

    @property
    def options(self) -> Kind:
        return self.stem

    @property
    def axes(self) -> Axes:
        return self.stem.axes

    def module(self) -> nn.Module:
        return self.stem.module(self.in_chans)


@dataclass(frozen=True, slots=True)
class DownsamplePiece:
    stage: int
    downsample: Downsample
    width_in: int
    width: int
    size_in: Size

    @property
    def path(self) -> str:
        return f"stages.{self.stage}.downsample"

    @property
    def streams(self) -> dict[str, str]:
        return {"width": f"stages.{self.stage}", "width_in": f"stages.{self.stage - 1}" if self.stage else "stem"}

    @property
    def options(self) -> Kind:
        return self.downsample

    @property
    def axes(self) -> Axes:
        return self.downsample.axes

    def module(self) -> nn.Module:
        return self.downsample.module(self.width_in, self.width, self.size_in)


@dataclass(frozen=True, slots=True)
class PositionPiece:
    stage: int
    width: int
    size: Size

    options = None
    axes = {"": ("width",)}  # noqa: RUF012

    @property
    def path(self) -> str:
        return f"stages.{self.stage}.position"

    @property
    def streams(self) -> dict[str, str]:
        return {"width": f"stages.{self.stage}"}

    def module(self) -> nn.Module:
        return PositionTable(self.width, self.size)


@dataclass(frozen=True, slots=True)
class BlockPiece:
    stage: int
    slot: int
    block: Block
    width: int
    size: Size

    @property
    def path(self) -> str:
        return f"stages.{self.stage}.slots.{self.slot}"

    @property
    def streams(self) -> dict[str, str]:
        return {"width": f"stages.{self.stage}"}

    @property
    def options(self) -> Kind:
        return self.block

    @property
    def axes(self) -> Axes:
        return self.block.axes

    def module(self) -> nn.Module:
        return self.block.module(self.width, self.size)


@dataclass(frozen=True, slots=True)
class NormPiece:
    last_stage: int
    head: Head
    width: int

    path = "norm"
    options = None
    axes = {"": ("width",)}  # noqa: RUF012

    @property
    def streams(self) -> dict[str, str]:
        return {"width": f"stages.{self.last_stage}"}

    def module(self) -> nn.Module:
        return self.head.final_norm(self.width)


@dataclass(frozen=True, slots=True)
class HeadPiece:
    last_stage: int
    head: Head
    width: int
    num_classes: int
    distilled: bool

    path = "head"

    @property
    def streams(self) -> dict[str, str]:
        return {"width": f"stages.{self.last_stage}"}

    @property
    def options(self) -> Kind:
        return self.head

    @property
    def axes(self) -> Axes:
        return self.head.axes

    def module(self) -> nn.Module:
        module = self.head.module(self.width)
        module.classifier = self.head.classifier(self.width, self.num_classes, self.distilled)
        return module


Piece = StemPiece | DownsamplePiece | PositionPiece | BlockPiece | NormPiece | HeadPiece
Maker = Callable[[Piece], nn.Module]


def new_module(piece: Piece) -> nn.Module:
    return piece.module()
