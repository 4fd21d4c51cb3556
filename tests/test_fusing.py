"""The fused form: the same answers with fewer layers."""

import random

import pytest
import torch
from filling import images
from random_specs import random_spec
from torch import nn

from supernet import build, fuse, load_spec

ONE_A_FAMILY = (
    "efficientformer_l1",
    "efficientformerv2_s0",
    "iformer_m_distilled",
    "inception_iformer_small",
    "lowformer_b0",
)


def lived_in(net):
    """Batch-norm statistics and affine values as training leaves them: nothing is 0 or 1."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor, low, high in (
                (module.running_mean, -0.3, 0.3),
                (module.running_var, 0.5, 1.5),
                (module.weight, 0.7, 1.3),
                (module.bias, -0.2, 0.2),
            ):
                nn.init.uniform_(tensor, low, high)
    return net.eval()


@pytest.mark.parametrize("name", ONE_A_FAMILY)
@torch.no_grad()
def test_outputs_stay(name):
    net = lived_in(build(load_spec(name)))
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
    net = lived_in(build(spec).double())
    x = torch.randn(2, spec.in_chans, *spec.size, dtype=torch.float64)
    before = net(x)
    assert (fuse(net)(x) - before).abs().max() <= 1e-9 * max(1.0, float(before.abs().max()))
