"""Counts by arithmetic against built modules, PyTorch's own counter, and the reference figures."""

import json
import random
import time
from pathlib import Path

import pytest
import torch
from msgspec.structs import replace
from random_specs import random_spec
from torch.utils.flop_counter import FlopCounterMode

from supernet import build, count, fuse, load_spec, published_names
from supernet.blocks import block_cost
from supernet.downsamples import downsample_cost

REFERENCE = json.loads((Path(__file__).parent / "data" / "reference_counts.json").read_text())


def params_of(net):
    return sum(parameter.numel() for parameter in net.parameters())


def macs_of(net, spec):
    """By PyTorch: convolutions and matrix products, two flops a MAC; on the meta device nothing is computed."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.eval()(torch.empty(1, spec.in_chans, *spec.size, device="meta"))
    return counter.get_total_flops() // 2


def test_every_reference_network_is_here():
    assert set(published_names()) == set(REFERENCE)


@pytest.mark.parametrize("name", published_names())
def test_published(name):
    spec, expected = load_spec(name), REFERENCE[name]
    counted = count(spec)
    with torch.device("meta"):
        net = build(spec)
    assert counted.params == expected["params"] == params_of(net)
    assert counted.macs == expected["macs"] == macs_of(net, spec)
    assert params_of(fuse(net)) == expected["deploy_params"]
    assert sum(cost.params for _, cost in counted.parts) == counted.params
    assert len(counted.parts) == 2 + sum(
        len(s.blocks) + (s.downsample is not None) + s.position_table for s in spec.stages
    )


def test_by_part():
    """Each part's parameters are those of the module at that path."""
    spec = load_spec("efficientformerv2_s0")
    with torch.device("meta"):
        net = build(spec)
    for path, cost in count(spec).parts:
        if path.startswith("stages"):
            assert cost.params == params_of(net.get_submodule(path.replace("[", ".").replace("]", ""))), path


@pytest.mark.parametrize("seed", range(60))
def test_random(seed):
    spec = random_spec(random.Random(seed))
    with torch.device("meta"):
        net = build(spec)
    assert count(spec).params == params_of(net)
    assert count(spec).macs == macs_of(net, spec)


@pytest.mark.parametrize(
    "change", [{"resolution": 256}, {"resolution": (160, 192)}, {"in_chans": 1}, {"num_classes": 0}]
)
def test_changed(change):
    for name in ("efficientformer_l1", "efficientformerv2_s0", "iformer_t", "inception_iformer_small", "lowformer_b0"):
        spec = load_spec(name).with_(**change)
        with torch.device("meta"):
            net = build(spec)
        assert count(spec).params == params_of(net)
        assert count(spec).macs == macs_of(net, spec)


def test_speed():
    """2,000 networks a second made, checked and counted on one core, with nothing cached before: other widths, depths,
    kernels and expansions, as a search tries them."""
    r, base = random.Random(0), load_spec("efficientformerv2_s1")
    best = min(_seconds(base, r) for _ in range(3))
    assert best < 1.0, f"{2000 / best:.0f} networks a second"


def _seconds(base, r):
    block_cost.cache_clear()
    downsample_cost.cache_clear()
    start = time.process_time()
    for _ in range(2000):
        stages = []
        for stage in base.stages:
            kept = stage.blocks[: r.randint(1, len(stage.blocks))]
            blocks = tuple(replace(b, kernel=r.choice((3, 5, 7)), expand=r.choice((2, 2.5, 3, 3.5, 4))) for b in kept)
            stages.append(replace(stage, width=stage.width - 4 * r.randint(0, 4), blocks=blocks))
        count(base.with_(stem=replace(base.stem, width=stages[0].width), stages=tuple(stages)))
    return time.process_time() - start
