"""The fused form: the same answers with fewer layers."""

import random

import pytest
import torch
from exported_parts import part, part_names
from filling import images, lived_in
from random_specs import random_spec
from timm.layers import BatchNormAct2d, freeze_batch_norm_2d
from torch import nn

from supernet import build, fuse, fuse_part, load_spec
from supernet.heads import Classifier, NormedLinear

ONE_A_FAMILY = (
    "efficientformer_l1",
    "efficientformerv2_s0",
    "iformer_m_distilled",
    "inception_iformer_small",
    "lowformer_b0",
)


@pytest.mark.parametrize("name", ONE_A_FAMILY)
@torch.no_grad()
def test_outputs_stay(name):
    net = lived_in(build(load_spec(name))).eval()
    x = images(2, 224, 224)
    before = net(x)
    fused = fuse(net)
    assert (fused(x) - before).abs().max() <= 1e-4 * max(1.0, float(before.abs().max()))
    assert torch.equal(net(x), before), "the network itself must stay as it was"
    assert not any(isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d) for module in fused.modules())
    assert not fused.training


@pytest.mark.parametrize("seed", range(40))
@torch.no_grad()
def test_random(seed):
    spec = random_spec(random.Random(seed))
    net = lived_in(build(spec)).double().eval()
    x = torch.randn(2, spec.in_chans, *spec.size, dtype=torch.float64)
    before = net(x)
    assert (fuse(net)(x) - before).abs().max() <= 1e-9 * max(1.0, float(before.abs().max()))


@pytest.mark.parametrize("name", part_names())
@torch.no_grad()
def test_parts(name):
    module, shape = part(name)
    module, x = module.double(), torch.randn(2, *shape[1:], dtype=torch.float64)
    before = module(x)
    fused = fuse_part(module)
    assert (fused(x) - before).abs().max() <= 1e-9 * before.abs().max()
    assert torch.equal(module(x), before), "the part itself must stay as it was"
    norms = [one for one in fused.modules() if isinstance(one, nn.BatchNorm2d | nn.BatchNorm1d)]
    assert len(norms) == ("without classifier" in name), "without a classifier, a final norm has no layer to go into"
    assert not any(isinstance(one, Classifier | NormedLinear) for one in fused.modules())


@torch.no_grad()
def test_chain_of_parts():

    names = ("stem convs, relu", "modulation", "inception", "downsample attention")
    chain = nn.Sequential(*(part(name)[0] for name in names)).train()
    x = torch.randn(1, 3, 24, 32)
    fused = fuse_part(chain)
    assert chain.training
    assert not fused.training
    assert torch.allclose(fused(x), chain.eval()(x), atol=1e-4)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())


@pytest.mark.parametrize(
    "converted", [nn.SyncBatchNorm.convert_sync_batchnorm, freeze_batch_norm_2d], ids=["synchronised", "frozen"]
)
@pytest.mark.parametrize("name", ["iformer_m_distilled", "inception_iformer_small"])
@torch.no_grad()
def test_other_batch_norms(converted, name):
    """Training on several devices and fine-tuning leave other classes of batch norm behind."""
    net = lived_in(build(load_spec(name).with_(resolution=64))).eval()
    x = images(2, 64, 64)
    before = net(x)
    fused = fuse(converted(net).eval())
    assert (fused(x) - before).abs().max() <= 1e-4 * max(1.0, float(before.abs().max()))
    assert not any("BatchNorm" in type(module).__name__ for module in fused.stages.modules())


@pytest.mark.parametrize(
    "norm", [nn.GroupNorm(1, 16), BatchNormAct2d(16), nn.BatchNorm2d(16, affine=False), nn.InstanceNorm2d(16)]
)
def test_norms_that_cannot_be_folded(norm):
    net = build(load_spec("iformer_t"))
    net.stem.conv1.norm = norm
    with pytest.raises(ValueError, match="can't be folded; fuse takes batch norms"):
        fuse(net)


@torch.no_grad()
def test_maps_without_pooling():
    net = lived_in(build(load_spec("efficientformerv2_s0").with_(resolution=64))).eval()
    net.reset_classifier(0, "")
    x = images(1, 64, 64)
    assert torch.allclose(fuse(net)(x), net(x), atol=1e-4)
