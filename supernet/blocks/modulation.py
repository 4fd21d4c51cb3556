"""iFormer's attention unit: position encoding by convolution, single-head modulation attention, feed-forward."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..layers import Branch, Conv, attend, attention_macs, branches, conv_chain, conv_chain_cost
from ..options import Cost, Expand, Kernel, LayerScale, Size, area, hidden_width, total
from ..values import Limit, SpecError
from .base import Block, check_fused_attention, layer_scale_cost
from .ffn import FFN_AXES, plain_ffn


class ModulationAttention(nn.Module):
    """One attention head whose output is multiplied by a gate; values and gate both pass a sigmoid.

    With a window, attention stays inside windows of that many pixels; the map is padded to whole windows.
    """

    def __init__(self, convs: dict[str, Conv], window: int | None) -> None:
        super().__init__()
        self.window = window
        self.q = convs["q"].module()
        self.k = convs["k"].module()
        self.v = convs["v"].module()
        self.gate = convs["gate"].module()
        self.project = convs["project"].module()

    def forward(self, x: Tensor) -> Tensor:
        if self.window is None:
            return self.modulate(x)
        height, width = x.shape[-2:]
        window = self.window
        x = F.pad(x, (0, -width % window, 0, -height % window))
        return merge_windows(self.modulate(cut_windows(x, window)), list(x.shape))[:, :, :height, :width]

    def modulate(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.gate(x))
        q, k, v = self.q(x).flatten(2), self.k(x).flatten(2), torch.sigmoid(self.v(x)).flatten(2)
        mixed = attend(q.unsqueeze(1), k.unsqueeze(1), v.unsqueeze(1))
        return self.project(mixed.reshape(gate.shape) * gate)


def cut_windows(x: Tensor, window: int) -> Tensor:
    batch, width, rows, columns = x.shape
    x = x.reshape(batch, width, rows // window, window, columns // window, window)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(-1, width, window, window)


def merge_windows(windows: Tensor, shape: list[int]) -> Tensor:
    batch, width, rows, columns = shape
    window = windows.shape[-1]
    x = windows.reshape(batch, rows // window, columns // window, width, window, window)
    return x.permute(0, 3, 1, 4, 2, 5).reshape(batch, width, rows, columns)


class ModulationBlock(Block, tag="modulation", frozen=True):
    """`kernel` is that of the position encoding; queries and keys have width / `reduction` channels."""

    drop_path_steps: ClassVar[int] = 3
    attends: ClassVar = True
    elastic: ClassVar = ("kernel", "reduction", "expand", "window")
    axes: ClassVar = FFN_AXES | {
        "position.body": ("width",),
        "mixer": ("width",),
        "mixer.body.q": ("keys", "width"),
        "mixer.body.k": ("keys", "width"),
        "mixer.body.v": ("values", "width"),
        "mixer.body.gate": ("values", "width"),
        "mixer.body.project": ("width", "values"),
    }

    kernel: Kernel
    reduction: Annotated[int, Limit(1, 64)]
    expand: Expand
    window: Annotated[int, Limit(1, 128)] | None = None
    layer_scale: LayerScale = None

    def check(self, width: int, size: Size) -> None:
        if width % self.reduction:
            raise SpecError("reduction", f"{self.reduction} does not divide the width {width}")
        check_fused_attention(size if self.window is None else (self.window, self.window))

    def convs(self, width: int) -> dict[str, Conv]:
        return {
            "q": Conv(width, width // self.reduction),
            "k": Conv(width, width // self.reduction),
            "v": Conv(width, width),
            "gate": Conv(width, width),
            "project": Conv(width, width),
        }

    def position(self, width: int) -> Conv:
        return Conv(width, width, self.kernel, depthwise=True)

    def ffn(self, width: int) -> dict[str, Conv]:
        return plain_ffn(width, hidden_width(width, self.expand), bias=False)

    def module(self, width: int, size: Size) -> nn.Sequential:
        return branches(
            position=Branch(self.position(width).module(), width, droppable=False),
            mixer=Branch(ModulationAttention(self.convs(width), self.window), width, self.layer_scale),
            ffn=Branch(conv_chain(self.ffn(width)), width, self.layer_scale),
        )

    def cost(self, width: int, size: Size) -> Cost:
        padded, inside, windows = size, area(size), 1
        if self.window is not None:
            padded = (size[0] + -size[0] % self.window, size[1] + -size[1] % self.window)
            inside = self.window**2
            windows = area(padded) // inside
        return (
            self.position(width).cost(size)
            + total(conv.cost(padded) for conv in self.convs(width).values())
            + Cost(macs=windows * attention_macs(1, inside, inside, width // self.reduction, width))
            + conv_chain_cost(self.ffn(width), size)
            + layer_scale_cost(width, self.layer_scale, 2)
        )

    def summary(self) -> str:
        window = f" in {self.window}x{self.window} windows" if self.window else ""
        return f"modulation attention /{self.reduction}{window}, FFN {self.expand:g}x"
