"""Which of our tensors is which of timm's. timm lacks the Inception Transformer; for it, the authors' names stand in.

A tie joins one or several of our modules (or parameters) to one of theirs; what follows in a tensor's name, such as
`.weight`, is the same on both sides. Several are joined where they keep query, key and value in one tensor.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from ..blocks import Block
from ..blocks.inception import InceptionBlock
from ..blocks.lowformer import ConvAttentionBlock, MbConv
from ..blocks.modulation import ModulationBlock
from ..blocks.token_attention import TokenAttentionBlock
from ..downsamples import AttentionDownsample
from ..spec import NetSpec

Layout = Literal["same", "rows", "columns", "heads", "channels_last"]
"""How several of ours lie in one of theirs: end to end along the first or second axis, or along the first within each
head. Or a single one, transposed."""


class Tie(NamedTuple):
    own: tuple[str, ...]
    theirs: str
    layout: Layout = "same"
    heads: int = 1

    def under(self, own: str, theirs: str) -> Tie:
        return self._replace(own=tuple(own + name for name in self.own), theirs=theirs + self.theirs)


def timm_ties(spec: NetSpec) -> list[Tie]:
    if spec.family not in _FAMILIES:
        raise ValueError(f"{spec.family} networks have no names in timm; save them with names='own'")
    return list(_FAMILIES[spec.family](spec))


def _pairs(**names: str) -> Iterator[Tie]:
    """`expand="fc1"` and the like; a double underscore stands for a dot."""
    for own, theirs in names.items():
        yield Tie((own.replace("__", "."),), theirs)


def _conv_norms(conv: str, norm: str, /, **names: str) -> Iterator[Tie]:
    for own, theirs in names.items():
        yield Tie((f"{own}.conv",), f"{theirs}.{conv}")
        yield Tie((f"{own}.norm",), f"{theirs}.{norm}")


def _all_under(own: str, theirs: str, ties: Iterator[Tie]) -> Iterator[Tie]:
    for tie in ties:
        yield tie.under(own, theirs)


def _qkv(theirs: str, layout: Layout, heads: int = 1) -> Tie:
    return Tie(("q", "k", "v"), theirs, layout, heads)


def _efficientformer(spec: NetSpec) -> Iterator[Tie]:
    kinds = [isinstance(block, TokenAttentionBlock) for stage in spec.stages for block in stage.blocks]
    if kinds != sorted(kinds) or any(kinds[: -len(spec.stages[-1].blocks) or None]):
        raise ValueError("timm's EfficientFormer has attention at the end of the last stage only; use names='own'")
    yield from _pairs(stem__conv1__conv="stem.conv1", stem__conv1__norm="stem.norm1")
    yield from _pairs(stem__conv2__conv="stem.conv2", stem__conv2__norm="stem.norm2")
    for s, stage in enumerate(spec.stages):
        if stage.downsample is not None:
            yield from _conv_norms("conv", "norm", **{f"stages.{s}.downsample": f"stages.{s}.downsample"})
        flattened = 0  # a module without weights takes an index where maps become tokens
        for b, block in enumerate(stage.blocks):
            if isinstance(block, TokenAttentionBlock):
                flattened = 1
                ties = _token_attention(block.heads)
            else:
                ties = _pooling()
            yield from _all_under(f"stages.{s}.blocks.{b}.", f"stages.{s}.blocks.{b + flattened}.", ties)
    yield from _pairs(norm="norm", head__classifier__first="head", head__classifier__second="head_dist")


def _pooling() -> Iterator[Tie]:
    yield from _pairs(mixer__scale="ls1.gamma", ffn__scale="ls2.gamma")
    yield from _pairs(ffn__body__expand__conv="mlp.fc1", ffn__body__expand__norm="mlp.norm1")
    yield from _pairs(ffn__body__project__conv="mlp.fc2", ffn__body__project__norm="mlp.norm2")


def _token_attention(heads: int) -> Iterator[Tie]:
    yield from _pairs(mixer__scale="ls1.gamma", ffn__scale="ls2.gamma")
    yield from _pairs(mixer__body__norm="norm1", mixer__body__project="token_mixer.proj")
    yield _qkv("token_mixer.qkv", "heads", heads).under("mixer.body.", "")
    yield from _pairs(mixer__body__bias__table="token_mixer.attention_biases")
    yield from _pairs(mixer__body__bias__index="token_mixer.attention_bias_idxs")
    yield from _pairs(ffn__body__norm="norm2", ffn__body__expand="mlp.fc1", ffn__body__project="mlp.fc2")


def _efficientformerv2(spec: NetSpec) -> Iterator[Tie]:
    yield from _all_under("stem.", "stem.", _conv_norms("conv", "bn", conv1="conv1", conv2="conv2"))
    for s, stage in enumerate(spec.stages):
        down = f"stages.{s}.downsample."
        if isinstance(stage.downsample, AttentionDownsample):
            yield from _all_under(down, down, _conv_norms("conv", "bn", conv="conv"))
            yield from _all_under(f"{down}attention.", f"{down}attn.", _strided_attention())
        elif stage.downsample is not None:
            yield from _pairs(**{f"{down}conv": f"{down}conv.conv", f"{down}norm": f"{down}conv.bn"})
        for b in range(len(stage.blocks)):
            yield from _all_under(f"stages.{s}.blocks.{b}.", f"stages.{s}.blocks.{b}.", _map_attention())
    yield from _pairs(norm="norm", head__classifier__first="head", head__classifier__second="head_dist")


def _strided_attention() -> Iterator[Tie]:
    yield from _pairs(query_local__conv="q.local", bias__table="attention_biases")
    yield from _conv_norms("conv", "bn", q="q.proj", k="k", v="v", local="v_local", project="proj")


def _map_attention() -> Iterator[Tie]:
    """Also of the block without attention, which has fewer of the same names."""
    yield from _pairs(mixer__scale="ls1.gamma", ffn__scale="ls2.gamma")
    ffn = _conv_norms("conv", "bn", expand="fc1", spatial="mid", project="fc2")
    yield from _all_under("ffn.body.", "mlp.", ffn)
    convs = _conv_norms("conv", "bn", reduce="stride_conv", q="q", k="k", v="v", local="v_local", project="proj")
    yield from _all_under("mixer.body.", "token_mixer.", convs)
    rest = _pairs(talk_before="talking_head1", talk_after="talking_head2", bias__table="attention_biases")
    yield from _all_under("mixer.body.", "token_mixer.", rest)


def _iformer(spec: NetSpec) -> Iterator[Tie]:
    yield from _all_under("stem.", "stem.", _conv_norms("c", "bn", conv1="conv1", conv2="conv2", conv3="conv3"))
    for s, stage in enumerate(spec.stages):
        yield from _conv_norms("c", "bn", **{f"stages.{s}.downsample": f"stages.{s}.downsample"})
        index = 0  # position encoding, attention and FFN of a unit count as three there
        for b, block in enumerate(stage.blocks):
            for tie in _modulation(index) if isinstance(block, ModulationBlock) else _depthwise(index):
                yield tie.under(f"stages.{s}.blocks.{b}.", f"stages.{s}.blocks.")
            index += block.drop_path_steps
    for own, theirs in (("first", "head"), ("second", "head_dist")):
        yield from _all_under(f"head.classifier.{own}.", f"head.{theirs}.", _pairs(norm="bn", linear="l"))


def _depthwise(index: int) -> Iterator[Tie]:
    convs = _conv_norms("c", "bn", mix="0", expand="1", project="3")
    yield from _all_under("ffn.body.", f"{index}.mixer.module.", convs)
    yield Tie(("ffn.scale",), f"{index}.mixer.gamma")


def _modulation(index: int) -> Iterator[Tie]:
    yield from _conv_norms("c", "bn", **{"position.body": f"{index}.cpe.module"})
    at = f"{index + 1}.mixer."
    yield from _all_under("mixer.body.", f"{at}module.", _conv_norms("c", "bn", q="q", k="k", project="proj"))
    for own, theirs in (("conv", "c"), ("norm", "bn")):
        yield Tie((f"mixer.body.v.{own}", f"mixer.body.gate.{own}"), f"{at}module.v_gate.{theirs}", "rows")
    yield Tie(("mixer.scale",), f"{at}gamma")
    at = f"{index + 2}.mixer."
    yield from _all_under("ffn.body.", f"{at}module.", _conv_norms("c", "bn", expand="0", project="2"))
    yield Tie(("ffn.scale",), f"{at}gamma")


def _inception(spec: NetSpec) -> Iterator[Tie]:
    for number in (1, 2):
        yield from _pairs(**{f"stem.conv{number}.conv": f"patch_embed.proj{number}"})
        yield from _pairs(**{f"stem.conv{number}.norm": f"patch_embed.norm{number}"})
    for s, stage in enumerate(spec.stages):
        yield from _conv_norms("proj", "norm", **{f"stages.{s}.downsample": f"patch_embed{s + 1}"})
        yield Tie((f"stages.{s}.position.table",), f"pos_embed{s + 1}", "channels_last")
        for b, block in enumerate(stage.blocks):
            assert isinstance(block, InceptionBlock)
            yield from _all_under(f"stages.{s}.blocks.{b}.", f"blocks{s + 1}.{b}.", _inception_block())
    yield from _pairs(norm="norm", head__classifier__first="head")


def _inception_block() -> Iterator[Tie]:
    yield from _pairs(mixer__scale="layer_scale_1", ffn__scale="layer_scale_2")
    yield from _pairs(mixer__body__norm="norm1", mixer__body__project_conv__bias="attn.proj.bias")
    parts = ("conv", "pool", "attention")
    yield Tie(tuple(f"mixer.body.{part}.fuse.body" for part in parts), "attn.conv_fuse", "rows")
    yield Tie(tuple(f"mixer.body.project_{part}.weight" for part in parts), "attn.proj.weight", "columns")
    yield from _pairs(
        mixer__body__conv__expand="attn.high_mixer.conv1", mixer__body__conv__spatial="attn.high_mixer.proj1"
    )
    yield from _pairs(mixer__body__pool__expand="attn.high_mixer.proj2")
    yield _qkv("attn.low_mixer.qkv", "rows").under("mixer.body.attention.attend.", "")
    yield from _pairs(ffn__body__norm="norm2", ffn__body__expand="mlp.fc1", ffn__body__project="mlp.fc2")


def _lowformer(spec: NetSpec) -> Iterator[Tie]:
    yield from _conv_norms("conv", "norm", **{"stem.conv1": "stem.0"})
    for number in range(1, getattr(spec.stem, "depth", 0) + 1):
        fused = bool(getattr(spec.stem, "fused", True))
        yield from _all_under(f"stem.block{number}.body.", f"stem.{number}.main.", _bottleneck(fused))
    for s, stage in enumerate(spec.stages):
        first = 0
        if stage.downsample is not None:
            fused = bool(getattr(stage.downsample, "fused", True))
            yield from _all_under(f"stages.{s}.downsample.", f"stages.{s}.0.main.", _bottleneck(fused))
            first = 1
        for b, block in enumerate(stage.blocks):
            # From the third stage on, timm builds every block with room for attention.
            ties = _lowformer_block(block, "local." if s >= 2 else "")
            yield from _all_under(f"stages.{s}.blocks.{b}.", f"stages.{s}.{b + first}.", ties)
    yield from _conv_norms("conv", "norm", **{"head.before.widen": "in_conv"})
    yield from _pairs(head__after__linear="pre_classifier.0", head__after__norm="pre_classifier.1")
    yield from _pairs(head__classifier__first="classifier")


def _bottleneck(fused: bool) -> Iterator[Tie]:
    spatial = {"spatial": "spatial_conv"} if fused else {"expand": "inverted_conv", "spatial": "depth_conv"}
    return _conv_norms("conv", "norm", **spatial, project="point_conv")


def _lowformer_block(block: Block, local: str) -> Iterator[Tie]:
    if isinstance(block, MbConv):
        yield from _all_under("local.body.", f"{local}main.", _bottleneck(block.fused))
        return
    assert isinstance(block, ConvAttentionBlock)
    attention = "attn.main."
    if block.mlp_expand is not None:
        yield Tie(("mixer.body.norm",), "attn.main.0")
        yield from _all_under("ffn.body.", "mlp.main.", _pairs(norm="0", expand="1", project="3"))
        attention = "attn.main.1."
    yield from _conv_norms("conv", "norm", **{"mixer.body.reduce": f"{attention}conv_proj"})
    yield _qkv(f"{attention}pwise", "heads", block.heads).under("mixer.body.", "")
    yield Tie(("mixer.body.enlarge",), f"{attention}upsampling")
    yield from _all_under("local.body.", "local.main.", _bottleneck(block.local_fused))


_FAMILIES = {
    "efficientformer": _efficientformer,
    "efficientformerv2": _efficientformerv2,
    "iformer": _iformer,
    "inception": _inception,
    "lowformer": _lowformer,
}
