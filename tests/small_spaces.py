"""Spaces that are small enough to list all their networks, and that list, made from the YAML without the code under
test: every choice is simply multiplied out."""

from __future__ import annotations

import itertools

import yaml

from supernet import NetSpec, Stage
from supernet.blocks import BLOCKS
from supernet.downsamples import DOWNSAMPLES
from supernet.heads import HEADS
from supernet.stems import STEMS

LAST = """\
family: hybrid
resolution: [16, 24]
num_classes: 3
stem: {kind: convs, width: [4, 8], kernel: 3, act: relu}
stages:
- depth: [0, 1, 2]
  blocks:
  - {kind: conv, kernel: [3, 5], expand: 1}
- width: [8, 12]
  downsample: {kind: conv, kernel: [1, 3], bias: true}
  depth: [1, 2]
  blocks:
  - {kind: conv, kernel: 3, expand: [1, 2]}
  - {kind: modulation, kernel: 3, reduction: [2, 4], expand: [1, 2], slots: [1]}
head: {kind: pool_norm}
"""
ANY = """\
family: hybrid
resolution: 16
num_classes: 3
stem: {kind: expand, width: 8, kernel: 3}
stages:
- width: [8, 12]
  downsample: {kind: mbconv, kernel: 3, expand: [1, 2], fused: true}
  depth: [1, 3]
  drop: any
  blocks:
  - {kind: pooling, kernel: 3, expand: [1, 2]}
  - kind: token_attention
    heads: [1, 2]
    key_width: 4
    value_width: 4
    expand: [1, 2]
    slots: {from: 1, to: 2}
    count: [0, 1]
head: {kind: conv_pool, map_width: [8, 16], vector_width: 8}
"""
COUNTS = """\
family: lowformer
resolution: 16
num_classes: 3
stem: {kind: mbconv, width: 4, kernel: 3, depth: [1, 2], expand: 2}
stages:
- width: 6
  downsample: {kind: mbconv, kernel: 3, expand: 2, fused: true}
  depth: [2, 4]
  share: [local]
  blocks:
  - {kind: mbconv, kernel: 3, expand: [1, 2], fused: true, bias: true, count: {from: 1, to: 2}}
  - kind: conv_attention
    heads: [1, 2]
    head_width: 4
    kernel: 3
    stride: 1
    mlp_expand: null
    local_kernel: 3
    local_expand: [1, 2]
    local_fused: true
    slots: [0, 2, 3]
head: {kind: conv_pool, map_width: 8, vector_width: 8}
"""
BY_WIDTH = """\
family: inception
resolution: [[16, 24], 24, [24, 32]]
num_classes: 3
stem: {kind: convs, width: 8, kernel: 3, act: gelu, strides: [2, 1]}
stages:
- depth: [1, 2]
  position_table: true
  blocks:
  - {kind: inception, heads: 1, head_width: 4, kernel: 3, expand: 1, pool: [1, 2]}
- width: [16, 24, 32]
  downsample: {kind: conv, kernel: 3, bias: true}
  depth: 2
  blocks:
  - {kind: inception, heads: {16: [1, 2], 24: [2, 5], 32: [2, 3]}, head_width: 4, kernel: 3, expand: [1, 2]}
head: {kind: norm_pool, norm: layer}
"""
SMALL = {"last": LAST, "any": ANY, "counts": COUNTS, "by_width": BY_WIDTH}


def values(entry):
    """What a field of a space file allows."""
    if isinstance(entry, dict):
        return list(range(entry["from"], entry["to"] + 1, entry.get("step", 1)))
    return entry if isinstance(entry, list) else [entry]


def options(kinds, entry, width=None):
    """All options of one kind."""
    kind = kinds[entry["kind"]]
    given = {name: value for name, value in entry.items() if name not in ("kind", "slots", "count")}
    fixed = {name: given.pop(name) for name in ("strides",) if name in given}
    lists = [values(v[width] if isinstance(v, dict) and width in v else v) for v in given.values()]
    return [kind(**fixed, **dict(zip(given, chosen, strict=True))) for chosen in itertools.product(*lists)]


def placements(stage):
    """For each slot a kind or None."""
    slots, kinds = max(values(stage["depth"])), [*range(len(stage.get("blocks", []))), None]
    for placement in itertools.product(kinds, repeat=slots):
        held = [slot for slot, kind in enumerate(placement) if kind is not None]
        fine = len(held) in values(stage["depth"])
        fine &= stage.get("drop") == "any" or held == list(range(len(held)))
        for kind, entry in enumerate(stage.get("blocks", [])):
            mine = [slot for slot in held if placement[slot] == kind]
            fine &= "slots" not in entry or set(mine) <= set(values(entry["slots"]))
            fine &= "count" not in entry or len(mine) in values(entry["count"])
        if fine:
            yield placement


def stages(entry, width):
    downs = options(DOWNSAMPLES, entry["downsample"], width) if "downsample" in entry else [None]
    for down, placement in itertools.product(downs, placements(entry)):
        slots = [slot for slot, kind in enumerate(placement) if kind is not None]
        lists = [options(BLOCKS, entry["blocks"][placement[slot]], width) for slot in slots]
        for blocks in itertools.product(*lists):
            yield Stage(
                width=width,
                blocks=blocks,
                downsample=down,
                slots=tuple(slots),
                position_table=entry.get("position_table", False),
            )


def all_networks(text):
    data = yaml.safe_load(text)
    for resolution, stem in itertools.product(values(data["resolution"]), options(STEMS, data["stem"])):
        widths = [values(entry["width"]) if "downsample" in entry else [None] for entry in data["stages"]]
        for chosen in itertools.product(*widths):
            width, lists = stem.width, []
            for entry, own in zip(data["stages"], chosen, strict=True):
                width = own or width
                lists.append(list(stages(entry, width)))
            for made, head in itertools.product(itertools.product(*lists), options(HEADS, data["head"])):
                yield NetSpec(
                    family=data["family"],
                    stem=stem,
                    stages=made,
                    head=head,
                    resolution=tuple(resolution) if isinstance(resolution, list) else resolution,
                    num_classes=data["num_classes"],
                )
