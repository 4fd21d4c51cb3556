"""Fresh weights are distributed as in timm's networks, which follow the authors: a training that starts elsewhere ends
elsewhere."""

import pytest
import timm

from supernet import build, load_spec
from supernet.weights.ties import timm_ties
from supernet.weights.translate import Translation


@pytest.mark.parametrize("name", ["efficientformer_l1", "efficientformerv2_s0", "iformer_t", "lowformer_b0"])
def test_as_in_timm(name):
    """Constants are equal, spreads of large tensors within 10 %, and nothing small is outside timm's order of size."""
    net = build(load_spec(name))
    ours = Translation(timm_ties(net.spec), net.state_dict()).to_theirs()
    theirs = timm.create_model(name).state_dict()
    for key, tensor in ours.items():
        expected = theirs[key].float()
        tensor = tensor.float()
        if expected.numel() < 2 or expected.std() == 0:
            assert (tensor.reshape(expected.shape) == expected).all(), key
        elif expected.numel() >= 2000:
            assert float(tensor.std() / expected.std()) == pytest.approx(1, abs=0.1), key
            assert abs(tensor.mean() - expected.mean()) < 0.2 * expected.std(), key
        else:
            assert float(tensor.abs().max()) < 3 * float(expected.abs().max()), key
            assert float(tensor.abs().max()) > float(expected.abs().max()) / 3, key
