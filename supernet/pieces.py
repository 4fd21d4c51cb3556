"""The exchangeable pieces of a network as values: where one stands, and all that its module depends on.

Equal pieces have equal modules, so that whoever makes networks by the thousand can keep them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
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


class Piece(ABC):
    """`path` is its place in a supernet, where blocks are counted by slots. `streams` names the feature map whose
    channels an axis of that name is made of."""

    @property
    @abstractmethod
    def path(self) -> str: ...

    @property
    @abstractmethod
    def streams(self) -> dict[str, str]: ...

    @property
    def kind(self) -> Kind | None:
        """The options that know the axes of the module; without any, all its parameters lie along `width`."""
        return None

    @property
    def axes(self) -> Axes:
        return {"": ("width",)} if self.kind is None else self.kind.axes

    @abstractmethod
    def module(self) -> nn.Module: ...


@dataclass(frozen=True)
class StemPiece(Piece):
    stem: Stem
    in_chans: int

    path = "stem"

    @property
    def streams(self) -> dict[str, str]:
        return {"width": "stem"}

    @property
    def kind(self) -> Kind:
        return self.stem

    def module(self) -> nn.Module:
        return self.stem.module(self.in_chans)


@dataclass(frozen=True)
class StagePiece(Piece):
    stage: int

    @property
    def streams(self) -> dict[str, str]:
        return {"width": f"stages.{self.stage}"}


@dataclass(frozen=True)
class DownsamplePiece(StagePiece):
    downsample: Downsample
    width_in: int
    width: int
    size_in: Size

    @property
    def path(self) -> str:
        return f"stages.{self.stage}.downsample"

    @property
    def streams(self) -> dict[str, str]:
        before = f"stages.{self.stage - 1}" if self.stage else "stem"
        return super().streams | {"width_in": before}

    @property
    def kind(self) -> Kind:
        return self.downsample

    def module(self) -> nn.Module:
        return self.downsample.module(self.width_in, self.width, self.size_in)


@dataclass(frozen=True)
class PositionPiece(StagePiece):
    width: int
    size: Size

    @property
    def path(self) -> str:
        return f"stages.{self.stage}.position"

    def module(self) -> nn.Module:
        return PositionTable(self.width, self.size)


@dataclass(frozen=True)
class BlockPiece(StagePiece):
    slot: int
    block: Block
    width: int
    size: Size

    @property
    def path(self) -> str:
        return f"stages.{self.stage}.slots.{self.slot}"

    @property
    def kind(self) -> Kind:
        return self.block

    def module(self) -> nn.Module:
        return self.block.module(self.width, self.size)


@dataclass(frozen=True)
class NormPiece(StagePiece):
    """After the last stage."""

    head: Head
    width: int

    path = "norm"

    def module(self) -> nn.Module:
        return self.head.final_norm(self.width)


@dataclass(frozen=True)
class HeadPiece(StagePiece):
    """After the last stage."""

    head: Head
    width: int
    num_classes: int
    distilled: bool

    path = "head"

    @property
    def kind(self) -> Kind:
        return self.head

    def module(self) -> nn.Module:
        module = self.head.module(self.width)
        module.classifier = self.head.classifier(self.width, self.num_classes, self.distilled)
        return module


Maker = Callable[[Piece], nn.Module]


def new_module(piece: Piece) -> nn.Module:
    return piece.module()
