"""Every published network that timm has, equal to timm's, with the same weights of order one.

Weights reach our network through a file in timm's names, so each case also proves the names and the file format.
float64 to 1e-9 catches what float32 hides: a layer norm with another epsilon moves the scores by 6e-6 only.
"""

import pytest
import safetensors.torch
import timm
import torch
from filling import filled_state, gain_of, images, unfilled

from supernet import build, load_spec, load_weights, published_names

IN_TIMM = [name for name in published_names() if not name.startswith("inception")]
ONE_A_FAMILY = ("efficientformer_l1", "efficientformerv2_s0", "iformer_t", "lowformer_b0")
OTHER_SIZES = [
    ("efficientformer_l1", (216, 224)),  # timm's takes what ends in a map of 7x7
    ("efficientformerv2_s0", (256, 256)),
    ("efficientformerv2_s1", (160, 160)),
    ("efficientformerv2_s0", (224, 192)),
    ("iformer_t", (256, 256)),
    ("iformer_m_distilled", (224, 192)),
    ("lowformer_b0", (208, 208)),  # odd maps, which the transposed convolution overshoots
    ("lowformer_b1", (160, 224)),
    ("lowformer_e3", (160, 160)),
]


def pair(name, tmp_path, size=None):
    """Our network and timm's with the same weights, in float64."""
    spec = load_spec(name)
    options = {}
    if size is not None:
        spec = spec.with_(resolution=size)
        options = {"img_size": size} if name.startswith("efficientformerv2") else {}
    with unfilled():
        theirs, ours = timm.create_model(name, **options), build(spec)
    theirs.load_state_dict(filled_state(theirs.state_dict(), gain_of(name)))
    safetensors.torch.save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    report = load_weights(ours, tmp_path / "theirs.safetensors")
    assert not report.changed
    assert report.names == "timm"
    return ours.double(), theirs.double()


def assert_close(actual, expected, tolerance):
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= tolerance * expected.std()


def timm_maps(theirs, x):
    return theirs.forward_intermediates(x, intermediates_only=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_TIMM)
@torch.no_grad()
def test_scores_and_maps(name, tmp_path):
    ours, theirs = (net.eval() for net in pair(name, tmp_path))
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())
    x = images(1, 224, 224).double()
    (final, maps), (their_final, their_maps) = (net.forward_intermediates(x) for net in (ours, theirs))
    for our_map, their_map in zip(maps, their_maps, strict=True):
        assert_close(our_map, their_map, 1e-9)
    expected = theirs.forward_head(their_final)
    assert_close(ours.forward_head(final), expected, 1e-9)
    assert_close(ours(x), expected, 1e-9)
    ours, theirs, x = ours.float(), theirs.float().train().eval(), x.float()
    assert_close(ours(x), theirs(x), 1e-5)


@pytest.mark.parametrize(("name", "size"), OTHER_SIZES)
@torch.no_grad()
def test_other_sizes(name, size, tmp_path):
    ours, theirs = (net.eval() for net in pair(name, tmp_path, size))
    x = images(2, *size).double()
    assert_close(ours(x), theirs(x), 1e-9)
    for our_map, their_map in zip(
        ours.forward_intermediates(x, intermediates_only=True), timm_maps(theirs, x), strict=True
    ):
        assert_close(our_map, their_map, 1e-9)


@pytest.mark.parametrize("name", [*ONE_A_FAMILY, "iformer_m_distilled"])
def test_training(name, tmp_path):
    """Scores, gradients and batch-norm statistics of a step in training mode; of two classifiers, both answers."""
    ours, theirs = (net.train() for net in pair(name, tmp_path))
    if ours.spec.distilled:
        ours.set_distilled_training()
        theirs.set_distilled_training()
    x = images(2, 224, 224).double()

    def step(net):
        out = net(x)
        out = out if isinstance(out, tuple) else (out,)
        sum((index + 1) * scores.square().mean() for index, scores in enumerate(out)).backward()
        return out

    for scores, expected in zip(step(ours), step(theirs), strict=True):
        assert_close(scores, expected, 1e-9)
    gradients = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    expected = {name: gradients.get(name, tensor) for name, tensor in theirs.state_dict().items()}
    safetensors.torch.save_file(
        {name: tensor.clone().contiguous() for name, tensor in expected.items()}, tmp_path / "gradients.safetensors"
    )
    reference = build(ours.spec).double()
    load_weights(reference, tmp_path / "gradients.safetensors")
    wanted = reference.state_dict()
    actual = {name: parameter.grad for name, parameter in ours.named_parameters()}
    assert set(actual) | {name for name, _ in ours.named_buffers() if name in wanted} == set(wanted)
    for tensor_name, tensor in ours.state_dict().items():
        value = actual.get(tensor_name, tensor)
        scale = wanted[tensor_name].abs().max() + 1e-12
        assert (value - wanted[tensor_name]).abs().max() <= 1e-8 * scale + 1e-12, tensor_name


def test_tolerance_sees_a_wrong_epsilon(tmp_path):
    """The faintest of the faults that other implementations had is above the tolerance: the test can fail."""
    ours, theirs = (net.eval() for net in pair("efficientformer_l1", tmp_path))
    ours.norm.eps = 1e-6
    x = images(1, 224, 224).double()
    with torch.no_grad(), pytest.raises(AssertionError):
        assert_close(ours(x), theirs(x), 1e-9)
