"""The Inception Transformer is not in timm: our networks against numbers that its authors' code gave in float64."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from filling import filled, images, unfilled

from supernet import build, load_spec, load_weights
from supernet.weights.ties import timm_ties
from supernet.weights.translate import Translation

FINGERPRINTS = json.loads((Path(__file__).parent / "data" / "inception_fingerprints.json").read_text())
CASES = [(name, None) for name in FINGERPRINTS] + [
    (name, int(side)) for name, entry in FINGERPRINTS.items() for side in entry.get("other_resolutions", {})
]


def weights_file(spec, gain, path):
    """What the authors' checkpoint would hold, filled by their tensor names."""
    with unfilled():
        translation = Translation(timm_ties(spec), build(spec).state_dict())
    state = {
        name: filled(name, tensor.shape, gain) if tensor.is_floating_point() else tensor
        for name, tensor in translation.to_theirs().items()
    }
    safetensors.torch.save_file(state, path)
    return path


def assert_matches(values, expected, tolerance=1e-9):
    assert abs(values.std(correction=0) - expected["std"]) <= tolerance * expected["std"]
    assert abs(values.mean() - expected["mean"]) <= tolerance * expected["std"]
    assert abs(values.norm() - expected["l2"]) <= tolerance * expected["l2"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "side"), CASES)
@torch.no_grad()
def test_fingerprint(name, side, tmp_path):
    """At another size than trained for, the authors interpolate their position tables; so does our loader."""
    entry = FINGERPRINTS[name]
    trained = load_spec(name)
    path = weights_file(trained, entry["gain"], tmp_path / "authors.safetensors")
    spec = trained if side is None else trained.with_(resolution=side)
    expected = entry["float64"] if side is None else entry["other_resolutions"][str(side)]
    with unfilled():
        net = build(spec).double().eval()
    report = load_weights(net, path)
    assert bool(report.changed) == (side is not None)
    x = images(2, *spec.size).double()
    final, maps = net.forward_intermediates(x)
    scores = net.forward_head(final)
    assert_matches(scores, expected["logits"])
    first = torch.tensor(expected["logits"]["first16_per_image"], dtype=torch.float64)
    assert (scores[:, :16] - first).abs().max() <= 1e-9 * expected["logits"]["std"]
    for our_map, wanted in zip(maps, expected["features"], strict=True):
        assert list(our_map.shape) == wanted["shape"]
        assert_matches(our_map, wanted)
        values = torch.tensor(wanted["first"], dtype=torch.float64)
        assert (our_map.flatten()[: len(values)] - values).abs().max() <= 1e-9 * wanted["std"]
