"""Heads: from the last feature map to class scores. A final norm is applied to the map, the rest after pooling."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor, nn

from .layers import ChannelNorm, Conv, conv_chain, linear_cost
from .options import Cost, Kind, Size, Width
from .values import Choice, Limit


class Classifier(nn.Module):
    """One linear layer, or two for distillation: in training one learns from the labels and one from the teacher
    (`distilled_training` returns both outputs); otherwise the answer is their mean."""

    def __init__(self, first: nn.Module, second: nn.Module | None) -> None:
        super().__init__()
        self.first = first
        self.second = second
        self.distilled_training = False

    def forward(self, x: Tensor) -> Tensor:
        if self.second is None:
            return self.first(x)
        one, other = self.first(x), self.second(x)
        if self.training and self.distilled_training and not torch.jit.is_scripting():
            pair: Any = (one, other)  # only a distillation loss asks for it
            return pair
        return (one + other) / 2


class NormedLinear(nn.Module):
    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.linear = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.norm(x))


class PooledClassifier(nn.Module):
    """`before` works on the map, `after` on the pooled vector. With `pool` off, the map passes through unchanged."""

    def __init__(self, before: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.pool = True
        self.before = before
        self.after = after
        self.dropout = nn.Dropout(0.0)
        self.classifier: nn.Module = nn.Identity()

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        if not self.pool:
            return x
        x = self.dropout(self.after(self.before(x).mean((2, 3))))
        return x if pre_logits else self.classifier(x)


class Head(Kind, frozen=True):
    axes: ClassVar = {
        "classifier.first": ("classes", "width"),
        "classifier.second": ("classes", "width"),
    }

    def feature_width(self, width: int) -> int:
        """Channels of what the classifier sees."""
        return width

    def final_norm(self, width: int) -> nn.Module:
        return nn.Identity()

    def module(self, width: int) -> PooledClassifier:
        """Without its classifier, which `classifier` makes for a number of classes."""
        return PooledClassifier(nn.Identity(), nn.Identity())

    def scores(self, features: int, num_classes: int) -> nn.Module:
        return nn.Linear(features, num_classes)

    def classifier(self, width: int, num_classes: int, distilled: bool) -> nn.Module:
        if num_classes == 0:
            return nn.Identity()
        features = self.feature_width(width)
        second = self.scores(features, num_classes) if distilled else None
        return Classifier(self.scores(features, num_classes), second)

    def scores_layers(self, distilled: bool) -> list[str]:
        """The names in a network of the linear layers with one row for each class."""
        return [f"head.classifier.{which}" for which in (("first", "second") if distilled else ("first",))]

    def cost(self, width: int, num_classes: int, distilled: bool, size: Size) -> Cost:
        one = self.scores_cost(self.feature_width(width), num_classes) if num_classes else Cost()
        return self.neck_cost(width, size) + one + (one if distilled else Cost())

    def scores_cost(self, features: int, num_classes: int) -> Cost:
        return linear_cost(features, num_classes)

    @abstractmethod
    def neck_cost(self, width: int, size: Size) -> Cost: ...

    @abstractmethod
    def summary(self) -> str: ...


class NormPool(Head, tag="norm_pool", frozen=True):
    """Norm, mean, linear: EfficientFormer V1 (layer norm), V2 (batch norm), Inception Transformer (layer norm)."""

    norm: Annotated[str, Choice(("layer", "batch"))]
    eps: Annotated[float, Limit(1e-12, 1e-1)] = 1e-5

    def final_norm(self, width: int) -> nn.Module:
        if self.norm == "batch":
            return nn.BatchNorm2d(width, eps=self.eps)
        return ChannelNorm(width, eps=self.eps)

    def neck_cost(self, width: int, size: Size) -> Cost:
        return Cost(params=2 * width)

    def summary(self) -> str:
        return f"{self.norm} norm, mean"


class PoolNorm(Head, tag="pool_norm", frozen=True):
    """Mean, then batch norm and linear for each classifier: iFormer."""

    axes: ClassVar = {
        "classifier.first.norm": ("width",),
        "classifier.first.linear": ("classes", "width"),
        "classifier.second.norm": ("width",),
        "classifier.second.linear": ("classes", "width"),
    }

    def scores(self, features: int, num_classes: int) -> nn.Module:
        return NormedLinear(features, num_classes)

    def scores_layers(self, distilled: bool) -> list[str]:
        return [f"{name}.linear" for name in super().scores_layers(distilled)]

    def scores_cost(self, features: int, num_classes: int) -> Cost:
        return Cost(params=2 * features) + linear_cost(features, num_classes)

    def neck_cost(self, width: int, size: Size) -> Cost:
        return Cost()

    def summary(self) -> str:
        return "mean, batch norm"


class ConvPool(Head, tag="conv_pool", frozen=True):
    """Convolution to `map_width`, mean, linear and layer norm to `vector_width`: LowFormer."""

    elastic: ClassVar = ("map_width", "vector_width")
    axes: ClassVar = {
        "before.widen": ("map", "width"),
        "after.linear": ("vector", "map"),
        "after.norm": ("vector",),
        "classifier.first": ("classes", "vector"),
        "classifier.second": ("classes", "vector"),
    }

    map_width: Width
    vector_width: Width

    def conv(self, width: int) -> Conv:
        return Conv(width, self.map_width, act="hardswish")

    def feature_width(self, width: int) -> int:
        return self.vector_width

    def module(self, width: int) -> PooledClassifier:
        after = nn.Sequential()
        after.add_module("linear", nn.Linear(self.map_width, self.vector_width, bias=False))
        after.add_module("norm", nn.LayerNorm(self.vector_width))
        after.add_module("act", nn.Hardswish())
        return PooledClassifier(conv_chain({"widen": self.conv(width)}), after)

    def neck_cost(self, width: int, size: Size) -> Cost:
        vector = linear_cost(self.map_width, self.vector_width, bias=False) + Cost(params=2 * self.vector_width)
        return self.conv(width).cost(size) + vector

    def summary(self) -> str:
        return f"1x1 to {self.map_width}, mean, linear to {self.vector_width}"


HEADS: dict[str, type[Head]] = {kind.kind_name(): kind for kind in (NormPool, PoolNorm, ConvPool)}
