"""The original authors' tensor names, rewritten to timm's."""

from __future__ import annotations

import re

_EFFICIENTFORMER = [
    (r"^patch_embed\.0\.", "stem.conv1."),
    (r"^patch_embed\.1\.", "stem.norm1."),
    (r"^patch_embed\.3\.", "stem.conv2."),
    (r"^patch_embed\.4\.", "stem.norm2."),
    (r"^network\.0\.", "stages.0.blocks."),
    (r"^network\.2\.", "stages.1.blocks."),
    (r"^network\.4\.", "stages.2.blocks."),
    (r"^network\.6\.", "stages.3.blocks."),
    (r"^network\.1\.", "stages.1.downsample."),
    (r"^network\.3\.", "stages.2.downsample."),
    (r"^network\.5\.", "stages.3.downsample."),
    (r"\.layer_scale_(\d)$", r".ls\1.gamma"),
    (r"^dist_head\.", "head_dist."),
]

_RULES: dict[str, list[tuple[str, str]]] = {
    "efficientformer": [*_EFFICIENTFORMER, (r"\.downsample\.proj\.", ".downsample.conv.")],
    "efficientformerv2": [
        *_EFFICIENTFORMER,
        (r"^stem\.conv(\d)\.", r"stem.conv\1.conv."),
        (r"^stem\.norm(\d)\.", r"stem.conv\1.bn."),
        (r"\.downsample\.(?:proj|conv)\.", ".downsample.conv.conv."),
        (r"\.downsample\.(?:norm|bn)\.", ".downsample.conv.bn."),
        (r"\.mlp\.(fc\d|mid)\.", r".mlp.\1.conv."),
        (r"\.mlp\.norm(\d)\.", r".mlp.fc\1.bn."),
        (r"\.mlp\.mid_norm\.", ".mlp.mid.bn."),
        (r"\.attn\.q\.local\.0\.", ".attn.q.local."),
        (r"\.(token_mixer|attn)\.proj\.1\.", r".\1.proj.conv."),
        (r"\.(token_mixer|attn)\.proj\.2\.", r".\1.proj.bn."),
        (r"\.(q\.proj|q|k|v|v_local|stride_conv)\.0\.", r".\1.conv."),
        (r"\.(q\.proj|q|k|v|v_local|stride_conv)\.1\.", r".\1.bn."),
    ],
    "iformer": [
        (r"^classifier\.classifier_dist\.", "head.head_dist."),
        (r"^classifier\.(?:classifier\.)?", "head.head."),
        (r"^downsample_layers\.0\.0\.", "stem.conv1."),
        (r"^downsample_layers\.0\.2\.conv_exp_bn1\.", "stem.conv2."),
        (r"^downsample_layers\.0\.2\.conv_pwl_bn2\.", "stem.conv3."),
        (r"^downsample_layers\.(\d+)\.0\.", r"stages.\1.downsample."),
        (r"^stages\.(\d+)\.(\d+)\.(?:block\.)?", r"stages.\1.blocks.\2."),
        (r"(?:token_)?channel_mixer", "mixer"),
        (r"\.m\.", ".module."),
    ],
    "inception": [],
    "lowformer": [
        (r"^backbone\.input_stem\.", "stem."),
        (r"^backbone\.stages\.", "stages."),
        (r"^head\.(?:opseq\.)?op_list\.0\.", "in_conv."),
        (r"^head\.(?:opseq\.)?op_list\.2\.linear\.", "pre_classifier.0."),
        (r"^head\.(?:opseq\.)?op_list\.2\.norm\.", "pre_classifier.1."),
        (r"^head\.(?:opseq\.)?op_list\.3\.linear\.", "classifier."),
        (r"\.op_list\.", "."),
        (r"\.total\.0\.0\.", ".attn."),
        (r"\.total\.0\.1\.", ".mlp."),
        (r"\.total\.0\.", ".attn."),
        (r"\.total\.1\.", ".local."),
        (r"\.conv_proj\.0\.", ".conv_proj.conv."),
        (r"\.conv_proj\.1\.", ".conv_proj.norm."),
        (r"\.pwise\.0\.", ".pwise."),
    ],
}


def official_to_timm(name: str, family: str) -> str:
    for pattern, replacement in _RULES.get(family, []):
        name = re.sub(pattern, replacement, name)
    return name
