"""From a spec to a module: `build(spec)` gives a plain network that speaks timm's model protocol."""

from __future__ import annotations

from typing import Any

import torch
from timm.layers import DropPath, trunc_normal_
from timm.models import checkpoint_seq
from timm.models._features import feature_take_indices
from torch import Tensor, nn

from .heads import Classifier
from .layers import Branch, PositionBias
from .spec import NetSpec, Place, Stage, feature_strides, places


class PositionTable(nn.Module):
    """A learned value for each channel at each position, added to the map."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(1, place.width, *place.size))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.table


class StageModule(nn.Module):
    def __init__(self, stage: Stage, place: Place) -> None:
        super().__init__()
        self.checkpointing = False
        if stage.downsample is None:
            self.downsample: nn.Module = nn.Identity()
        else:
            self.downsample = stage.downsample.module(place.width_in, place.width, place.size_in)
        self.position = PositionTable(place) if stage.position_table else nn.Identity()
        self.blocks = nn.Sequential(*(block.module(place.width, place.size) for block in stage.blocks))

    def forward(self, x: Tensor) -> Tensor:
        x = self.position(self.downsample(x))
        if self.checkpointing and not torch.jit.is_scripting():
            return checkpoint_seq(self.blocks, x)
        return self.blocks(x)


class Network(nn.Module):
    """Stem, stages, final norm, head. Beyond `forward`, the methods are those that timm's tools call on a model."""

    def __init__(self, spec: NetSpec) -> None:
        super().__init__()
        self.spec = spec
        self.num_classes = spec.num_classes
        self.stem = spec.stem.module(spec.in_chans)
        stage_places = list(places(spec.stem, spec.stages, spec.size))
        self.stages = nn.Sequential(*map(StageModule, spec.stages, stage_places))
        width = spec.stages[-1].width
        self.norm = spec.head.final_norm(width)
        self.head = spec.head.module(width)
        self.head.classifier = spec.head.classifier(width, spec.num_classes, spec.distilled)
        self.num_features = width
        self.head_hidden_size = spec.head.feature_width(width)
        self.feature_info = [
            {"num_chs": stage.width, "reduction": stride, "module": f"stages.{index}"}
            for index, (stage, stride) in enumerate(zip(spec.stages, feature_strides(spec), strict=True))
        ]
        tables = (PositionBias, PositionTable)
        self.fixed_size = any(isinstance(module, tables) for module in self.modules())
        self._init_weights()

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        if not torch.jit.is_scripting():
            self._check_size(x)
        return self.norm(self.stages(self.stem(x)))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        return self.head(x, pre_logits)

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Any:
        """The outputs of the chosen stages (all by default), and unless `intermediates_only`, the final map too."""
        if output_fmt != "NCHW":
            raise ValueError(f"output_fmt {output_fmt!r} is not supported: feature maps are NCHW")
        wanted, last = feature_take_indices(len(self.stages), indices)
        self._check_size(x)
        found = []
        x = self.stem(x)
        for index, stage in enumerate(self.stages if not stop_early else self.stages[: last + 1]):
            x = stage(x)
            is_final = index == len(self.spec.stages) - 1
            if index in wanted:
                found.append(self.norm(x) if norm and is_final else x)
            if is_final:
                x = self.norm(x)
        return found if intermediates_only else (x, found)

    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Drops what the chosen stages don't need."""
        wanted, last = feature_take_indices(len(self.stages), indices)
        shortened = last < len(self.stages) - 1
        self.stages = self.stages[: last + 1]
        if prune_norm or shortened:
            self.norm = nn.Identity()
        if shortened:
            self.num_features = self.head_hidden_size = self.spec.stages[last].width
        if prune_head or shortened:
            self.reset_classifier(0, "")
        return wanted

    def get_classifier(self) -> nn.Module:
        return self.head.classifier

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        if global_pool not in (None, "", "avg"):
            raise ValueError(f"global_pool {global_pool!r} is not one of 'avg', ''")
        if global_pool is not None:
            self.head.pool = global_pool == "avg"
        if len(self.stages) < len(self.spec.stages) and (num_classes or self.head.pool):
            raise ValueError("a network without its last stage can have neither pooling nor a classifier")
        self.num_classes = num_classes
        self.spec = self.spec.with_(num_classes=num_classes)
        example = next(self.parameters())
        classifier = self.spec.head.classifier(self.spec.stages[-1].width, num_classes, self.spec.distilled)
        _init_linear(classifier)
        self.head.classifier = classifier.to(example.device, example.dtype).train(self.training)

    def set_distilled_training(self, enable: bool = True) -> None:
        """Whether training returns the outputs of both classifiers. Only for networks that have two."""
        classifier = self.head.classifier
        if not isinstance(classifier, Classifier) or (enable and classifier.second is None):
            raise ValueError("this network has one classifier; its spec says distilled: false")
        classifier.distilled_training = enable

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        for stage in self.stages:
            assert isinstance(stage, StageModule)
            stage.checkpointing = enable

    def no_weight_decay(self) -> set[str]:
        """Tables of position biases and positions; timm leaves out vectors by itself."""
        return {name for name, _ in self.named_parameters() if name.endswith(".table")}

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        blocks = (
            r"^stages\.(\d+)"
            if coarse
            else [
                (r"^stages\.(\d+)\.(?:downsample|position)", (0,)),
                (r"^stages\.(\d+)\.blocks\.(\d+)", None),
                (r"^norm|^head", (99999,)),
            ]
        )
        return {"stem": r"^stem", "blocks": blocks}

    def _check_size(self, x: Tensor) -> None:
        if self.fixed_size and not torch.jit.is_tracing() and tuple(x.shape[-2:]) != self.spec.size:
            (height, width), (rows, columns) = self.spec.size, x.shape[-2:]
            raise ValueError(
                f"images of {rows}x{columns} pixels don't fit: the position tables of this network are for "
                f"{height}x{width}; build it from spec.with_(resolution=({rows}, {columns}))"
            )

    def _init_weights(self) -> None:
        """As published: linear layers, in iFormer and Inception Transformer also convolutions, from a narrow normal."""
        _init_linear(self)
        for name, parameter in self.named_parameters():
            if name.endswith("position.table"):
                trunc_normal_(parameter, std=0.02)
        if self.spec.family in ("iformer", "inception"):
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    trunc_normal_(module.weight, std=0.02)
                    if module.bias is not None:
                        nn.init.zeros_(module.bias)


def _init_linear(module: nn.Module) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            trunc_normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def build(spec: NetSpec, *, drop_path: float = 0.0, dropout: float = 0.0) -> Network:
    """A plain network with fresh weights, in training mode."""
    network = Network(spec)
    network.head.dropout.p = dropout
    set_drop_path(network, drop_path)
    return network


def set_drop_path(network: Network, rate: float) -> None:
    """Drop path grows linearly from 0 at the first block to `rate` at the last one."""
    if not 0 <= rate < 1:
        raise ValueError(f"drop_path {rate} is not from 0 to below 1")
    blocks = [block for stage in network.spec.stages for block in stage.blocks]
    modules = [module for stage in network.stages for module in stage.get_submodule("blocks").children()]
    steps = sum(block.drop_path_steps for block in blocks)
    step = 0
    for block, module in zip(blocks, modules, strict=True):
        for index, branch in enumerate(module.children()):
            assert isinstance(branch, Branch)
            if isinstance(branch.drop_path, DropPath):
                at = step + min(index, block.drop_path_steps - 1)
                branch.drop_path.drop_prob = rate * at / max(1, steps - 1)
        step += block.drop_path_steps
