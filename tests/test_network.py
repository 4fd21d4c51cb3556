"""What a built network does beyond its scores: sizes it refuses, heads it changes, parts it drops, windows it cuts."""

import random

import pytest
import torch
from filling import images, lived_in
from random_specs import random_spec
from torch.nn import functional as F

from supernet import NetSpec, Stage, build, fuse, load_spec, save_weights, set_drop_path
from supernet.blocks.inception import InceptionBlock
from supernet.blocks.modulation import ModulationBlock
from supernet.heads import NormPool
from supernet.stems import ConvStem


@pytest.mark.parametrize("seed", range(60))
def test_random_networks_run_and_learn(seed):
    spec = random_spec(random.Random(seed))
    net = build(spec)
    scores = net(torch.randn(2, spec.in_chans, *spec.size))
    assert scores.shape == (2, spec.num_classes or net.head_hidden_size)
    scores.square().mean().backward()
    unused = [name for name, parameter in net.named_parameters() if parameter.grad is None]
    assert unused == []
    with torch.no_grad():
        assert net.eval()(torch.randn(1, spec.in_chans, *spec.size)).isfinite().all()


@pytest.mark.parametrize("size", [(12, 12), (10, 13), (6, 8)])
@torch.no_grad()
def test_windows(size):
    """Attention in windows is attention on each window cut out by hand; the map is padded with zeros to whole ones."""
    whole = ModulationBlock(kernel=3, reduction=2, expand=2)
    cut = ModulationBlock(kernel=3, reduction=2, expand=2, window=4)
    attention = lived_in(whole.module(8, size)).eval().double().mixer.body
    windowed = lived_in(cut.module(8, size)).eval().double().mixer.body
    windowed.load_state_dict(attention.state_dict())
    x = torch.randn(2, 8, *size, dtype=torch.float64)
    padded = F.pad(x, (0, -size[1] % 4, 0, -size[0] % 4))
    expected = torch.empty_like(padded)
    for row in range(0, padded.shape[2], 4):
        for column in range(0, padded.shape[3], 4):
            patch = padded[:, :, row : row + 4, column : column + 4]
            expected[:, :, row : row + 4, column : column + 4] = attention(patch)
    assert torch.allclose(windowed(x), expected[:, :, : size[0], : size[1]], atol=1e-12)
    assert windowed(x).shape == x.shape


@torch.no_grad()
def test_sizes():
    free = build(load_spec("iformer_t")).eval()
    assert free(images(1, 96, 160)).shape == (1, 1000)
    fixed = build(load_spec("efficientformer_l1")).eval()
    with pytest.raises(ValueError, match=r"images of 256x256 pixels don't fit.*spec.with_\(resolution=\(256, 256\)\)"):
        fixed(images(1, 256, 256))
    with pytest.raises(ValueError, match="don't fit"):
        fixed.forward_intermediates(images(1, 256, 256))
    block = InceptionBlock(heads=1, head_width=4, kernel=3, expand=2, pool=2)
    stage = Stage(width=12, blocks=(block,))
    stem, head = ConvStem(width=12, kernel=3, act="relu"), NormPool(norm="layer")
    pooled = build(NetSpec(family="hybrid", stem=stem, stages=(stage,), head=head, resolution=64)).eval()
    assert pooled(images(1, 32, 64)).shape == (1, 1000)
    with pytest.raises(ValueError, match="pool: 2 does not divide the feature map of 17x17"):
        pooled(images(1, 68, 68))


def test_new_classifier():
    net = build(load_spec("efficientformer_l1").with_(resolution=64))
    net.set_distilled_training()
    net.reset_classifier(5)
    one, other = net(images(2, 64, 64))
    assert one.shape == other.shape == (2, 5)
    assert net.spec.num_classes == 5
    net.reset_classifier(0, "")
    assert net(images(2, 64, 64)).shape == (2, 448, 2, 2)
    with pytest.raises(ValueError, match="a classifier needs pooling"):
        net.reset_classifier(5)
    net.reset_classifier(5, "avg")
    assert net.eval()(images(2, 64, 64)).shape == (2, 5)


@pytest.mark.parametrize("name", ["efficientformerv2_s0", "iformer_t", "lowformer_b0"])
def test_pruned_to_feature_maps(name):
    """Nothing is left that gets no gradient, which training on several devices would stumble over."""
    for wanted in ((0, 1), (1, 3)):
        net = build(load_spec(name).with_(resolution=64))
        net.prune_intermediate_layers(wanted)
        maps = net.forward_intermediates(images(2, 64, 64), indices=list(wanted), intermediates_only=True)
        sum(m.square().mean() for m in maps).backward()
        assert [n for n, p in net.named_parameters() if p.grad is None and not n.startswith("norm.")] == []
        set_drop_path(net, 0.1)
        with pytest.raises(ValueError, match="pruned to its feature maps"):
            net.reset_classifier(10, "avg")


def test_wrapped_networks(tmp_path):
    net = build(load_spec("iformer_t"))
    for wrapped in (torch.nn.DataParallel(net), torch.compile(net)):
        save_weights(wrapped, tmp_path / "w.safetensors")
        assert fuse(wrapped).spec == net.spec
        set_drop_path(wrapped, 0.1)
    set_drop_path(fuse(net), 0.1)
    with pytest.raises(TypeError, match=r"expected a network that supernet\.build made, got a Linear"):
        fuse(torch.nn.Linear(1, 1))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: build("iformer_t"), TypeError, "build takes a NetSpec"),
        (lambda: load_spec(7), TypeError, "expected a name or a path of a published network, not 7"),
        (lambda: build(load_spec("iformer_t"), dropout=1.5), ValueError, "dropout 1.5 is not from 0 to below 1"),
        (lambda: build(load_spec("iformer_t"), drop_path=-1), ValueError, "drop_path -1 is not from 0 to below 1"),
    ],
)
def test_wrong_calls(call, error, message):
    with pytest.raises(error, match=message):
        call()
