"""From a spec to a module: `build(spec)` gives a plain network that speaks timm's model protocol."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn

from .heads import Classifier
from .layers import Branch, DropPath, PositionTable, narrow_normal_
from .options import Size
from .pieces import BlockPiece, DownsamplePiece, HeadPiece, Maker, NormPiece, PositionPiece, StemPiece, new_module
from .spec import NetSpec
from .stages import Place, Stage, places


class StageModule(nn.Module):
    def __init__(self, index: int, stage: Stage, place: Place, make: Maker) -> None:
        super().__init__()
        self.checkpointing = False
        if stage.downsample is None:
            self.downsample: nn.Module = nn.Identity()
        else:
            self.downsample = make(DownsamplePiece(index, stage.downsample, place.width_in, place.width, place.size_in))
        self.position = make(PositionPiece(index, place.width, place.size)) if stage.position_table else nn.Identity()
        slots = zip(stage.block_slots, stage.blocks, strict=True)
        self.blocks = nn.Sequential(
            *(make(BlockPiece(index, slot, block, place.width, place.size)) for slot, block in slots)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.position(self.downsample(x))
        if self.checkpointing and not torch.jit.is_scripting():
            return self._checkpointed(x)
        return self.blocks(x)

    @torch.jit.unused
    def _checkpointed(self, x: Tensor) -> Tensor:
        from timm.models import checkpoint_seq

        return checkpoint_seq(self.blocks, x)


class Network(nn.Module):
    """Stem, stages, final norm, head. Beyond `forward`, the methods are those that timm's tools call on a model.

    `make` gives the module of a piece: a new one, or in a supernet one whose parameters are slices of shared ones.
    """

    def __init__(self, spec: NetSpec, make: Maker = new_module) -> None:
        super().__init__()
        self.spec = spec
        self.num_classes = spec.num_classes
        self.pruned = False
        self.stem = make(StemPiece(spec.stem, spec.in_chans))
        stage_places = list(places(spec.stem, spec.stages, spec.size))
        self.stages = nn.Sequential(
            *(StageModule(index, *both, make) for index, both in enumerate(zip(spec.stages, stage_places, strict=True)))
        )
        width = spec.stages[-1].width
        self.norm = make(NormPiece(len(spec.stages) - 1, spec.head, width))
        self.head: Any = make(HeadPiece(len(spec.stages) - 1, spec.head, width, spec.num_classes, spec.distilled))
        self.num_features = width
        self.head_hidden_size = spec.head.feature_width(width)
        self.feature_info = [
            {"num_chs": place.width, "reduction": place.stride, "module": f"stages.{index}"}
            for index, place in enumerate(stage_places)
        ]

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
        wanted, last = _stages_taken(len(self.stages), indices)
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
        wanted, last = _stages_taken(len(self.stages), indices)
        shortened = last < len(self.stages) - 1
        self.stages = self.stages[: last + 1]
        if prune_norm or shortened:
            self.norm = nn.Identity()
        if prune_head or shortened:
            self.num_features = self.head_hidden_size = self.spec.stages[last].width
            self.head.before = self.head.after = nn.Identity()
            self.reset_classifier(0, "")
            self.pruned = True
        return wanted

    def get_classifier(self) -> nn.Module:
        return self.head.classifier

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        if global_pool not in (None, "", "avg"):
            raise ValueError(f"global_pool {global_pool!r} is not one of 'avg', ''")
        pool = self.head.pool if global_pool is None else global_pool == "avg"
        if self.pruned and (num_classes or pool):
            raise ValueError("this network was pruned to its feature maps; it can have neither pooling nor classifier")
        if num_classes and not pool:
            raise ValueError("a classifier needs pooling: reset_classifier(num_classes, 'avg')")
        self.spec = self.spec.with_(num_classes=num_classes)
        self.head.pool = pool
        self.num_classes = num_classes
        example, old = next(self.parameters()), self.head.classifier
        new = self.spec.head.classifier(self.spec.stages[-1].width, num_classes, self.spec.distilled)
        _init_linear(new)
        if isinstance(old, Classifier) and isinstance(new, Classifier):
            new.distilled_training = old.distilled_training
        self.head.classifier = new.to(example.device, example.dtype).train(self.training)

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
                (r"^norm", (99999,)),
            ]
        )
        return {"stem": r"^stem", "blocks": blocks}

    def _check_size(self, x: Tensor) -> None:
        """A clear word where a feature map would not fit; free for images of the spec's own size."""
        if torch.jit.is_tracing() or torch.compiler.is_compiling() or tuple(x.shape[-2:]) == self.spec.size:
            return
        size = (int(x.shape[-2]), int(x.shape[-1]))
        if self.spec.fixed_size:
            (height, width), (rows, columns) = self.spec.size, size
            raise ValueError(
                f"images of {rows}x{columns} pixels don't fit: the position tables of this network are for "
                f"{height}x{width}; build it from spec.with_(resolution=({rows}, {columns}))"
            )
        _check_resolution(self.spec, size)


def _stages_taken(number: int, indices: int | list[int] | None) -> tuple[list[int], int]:
    """Which, and the last of them. timm takes a second to import, and few networks are asked for their maps."""
    from timm.models._features import feature_take_indices

    wanted, last = feature_take_indices(number, indices)
    return list(wanted), last


def init_weights(module: nn.Module, family: str) -> None:
    """As published: linear layers, in iFormer and Inception Transformer also convolutions, from a narrow normal."""
    _init_linear(module)
    for part in module.modules():
        if isinstance(part, PositionTable):
            narrow_normal_(part.table)
        elif isinstance(part, nn.Conv2d) and family in ("iformer", "inception"):
            narrow_normal_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def _init_linear(module: nn.Module) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            narrow_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


@functools.lru_cache(maxsize=1024)
def _check_resolution(spec: NetSpec, size: Size) -> None:
    spec.with_(resolution=size)


def plain_network(net: nn.Module) -> Network:
    """The network inside what wraps it for parallel or compiled training."""
    inner: Any = net
    for _ in range(8):
        if isinstance(inner, Network):
            return inner
        wrapped = getattr(inner, "_orig_mod", None)
        inner = wrapped if isinstance(wrapped, nn.Module) else getattr(inner, "module", None)
    raise TypeError(f"expected a network that supernet.build made, got a {type(net).__name__}")


def build(spec: NetSpec, *, drop_path: float = 0.0, dropout: float = 0.0) -> Network:
    """A plain network with fresh weights, in training mode."""
    if not isinstance(spec, NetSpec):
        raise TypeError(f"build takes a NetSpec, such as load_spec('iformer_t') gives, not {spec!r}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout {dropout} is not from 0 to below 1")
    network = Network(spec)
    init_weights(network, spec.family)
    network.head.dropout.p = dropout
    set_drop_path(network, drop_path)
    return network


def set_drop_path(net: nn.Module, rate: float) -> None:
    """Drop path grows linearly from 0 at the first block to `rate` at the last one."""
    if not 0 <= rate < 1:
        raise ValueError(f"drop_path {rate} is not from 0 to below 1")
    network = plain_network(net)
    steps = sum(block.drop_path_steps for stage in network.spec.stages for block in stage.blocks)
    step = 0
    for stage, module in zip(network.spec.stages, network.stages, strict=False):  # a pruned network has fewer
        for block, chain in zip(stage.blocks, module.get_submodule("blocks").children(), strict=True):
            for index, branch in enumerate(chain.children()):
                if isinstance(branch, Branch) and isinstance(branch.drop_path, DropPath):
                    at = step + min(index, block.drop_path_steps - 1)
                    branch.drop_path.drop_prob = rate * at / max(1, steps - 1)
            step += block.drop_path_steps
