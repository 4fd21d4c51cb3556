"""Any number of images at once, and the feature maps of all stages: every kind of file, a network a family."""

import random

import numpy as np
import onnx
import pytest
import torch
from filling import lived_in
from msgspec.structs import replace
from test_deploy_cli import SMALL
from test_deploy_origin import answering, enter

from deploy import DeployError, export_onnx, export_torchscript
from deploy.__main__ import main
from deploy.forms import Backbone, output_names
from deploy.opening import open_file
from deploy.to_coreml import Offer, export_coreml
from deploy.to_torch import export_torch
from supernet import build, fuse, load_space, load_spec, parse_spec

NETWORKS = ("efficientformer_l1", "efficientformerv2_s0", "iformer_t", "inception_iformer_small", "lowformer_b0")
WRITERS = {".onnx": export_onnx, ".pt": export_torchscript, ".pt2": export_torch}
SINGLE, HALF = 1e-5, 2e-3


def shortened(name):
    """A published network at 64 pixels, of each stage the last two blocks."""
    spec = load_spec(name)
    stages = tuple(replace(one, blocks=one.blocks[-2:], slots=None) for one in spec.stages)
    return lived_in(build(spec.with_(stages=stages, resolution=64))).eval()


def error(given, wanted):
    assert given.shape == wanted.shape
    return float((given - wanted).abs().max() / wanted.abs().max())


def check_any_batch(net, suffix, folder):
    """One file gives at one and five images what the network gives."""
    fused, path = fuse(net), folder / f"net{suffix}"
    WRITERS[suffix](fused, (1, 3, *net.spec.size), path, dynamic_batch=True)
    opened = open_file(path)
    for batch in (1, 5):
        images = torch.randn(batch, 3, *net.spec.size, generator=torch.Generator().manual_seed(batch))
        with torch.no_grad():
            assert error(opened.run(images)[0], net(images)) < SINGLE


def check_backbone(net, suffix, folder):
    fused, path, shape = fuse(net), folder / f"net{suffix}", (1, 3, *net.spec.size)
    names = output_names(fused, backbone=True)
    if suffix == ".mlpackage":
        report = export_coreml(Backbone(fused), shape, path, offer=Offer(outputs=names))
    else:
        report = WRITERS[suffix](Backbone(fused), shape, path, outputs=names)
    opened = open_file(path)
    assert opened.is_backbone
    image = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps = net.forward_intermediates(image, intermediates_only=True)
    given = opened.run(image)
    assert list(report.shapes_out) == [tuple(one.shape) for one in maps]
    assert len(given) == len(maps) == len(net.spec.stages)
    for one, other in zip(given, maps, strict=True):
        assert error(one, other) < (HALF if suffix == ".mlpackage" else SINGLE)


@pytest.mark.parametrize("suffix", WRITERS)
def test_any_batch(suffix, tmp_path):
    """Windows, strides, several heads, means of pixels: whatever shapes depend on."""
    check_any_batch(answering(_member(2)), suffix, tmp_path)


def _member(number):
    return load_space("tiny").sample(random.Random(number))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_any_batch_of_each_family(name, tmp_path):
    check_any_batch(shortened(name), ".onnx", tmp_path)


def test_what_a_dynamic_file_says(tmp_path):
    net = answering(parse_spec(SMALL))
    export_onnx(fuse(net), (1, 3, 32, 32), tmp_path / "a.onnx", dynamic_batch=True)
    graph = onnx.load(tmp_path / "a.onnx").graph
    for one, rest in ((graph.input[0], [3, 32, 32]), (graph.output[0], [5])):
        first, *others = one.type.tensor_type.shape.dim
        assert (first.dim_param, [dim.dim_value for dim in others]) == ("batch", rest)
    export_torch(fuse(net), (1, 3, 32, 32), tmp_path / "a.pt2")
    with pytest.raises(DeployError, match=r"a\.pt2 can't be run"):
        open_file(tmp_path / "a.pt2").run(torch.zeros(2, 3, 32, 32))
    (tmp_path / "a.pt2").write_bytes((tmp_path / "a.pt2").read_bytes()[:400])
    with pytest.raises(DeployError, match=r"a\.pt2 is no file of torch.export"):
        open_file(tmp_path / "a.pt2")


@pytest.mark.parametrize("suffix", [".mlpackage", *WRITERS])
def test_backbone(suffix, tmp_path):
    check_backbone(answering(_member(1)), suffix, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_backbone_of_each_family(name, tmp_path):
    net = shortened(name)
    for suffix in (".mlpackage", ".onnx"):
        check_backbone(net, suffix, tmp_path)


def test_backbone_by_command(tmp_path, monkeypatch, capsys):
    """At another resolution than that of the run, from pixels, and compared by all maps."""
    enter(tmp_path, monkeypatch)
    command = "export run --backbone --resolution 32 --image --to coreml --out a.mlpackage"
    assert main(command.split()) == 0
    assert "1x3x32x32 to 1x16x16x16, 1x32x8x8\n" in capsys.readouterr().out
    assert main(["verify", "a.mlpackage", "run", "--resolution", "32", "--images", "3"]) == 0
    said = capsys.readouterr().out
    assert "on 3 validation images" in said
    assert "same class" not in said
    assert main(["verify", "a.mlpackage", "run", "--images", "3"]) == 2
    assert "the input 'image' is (1, 3, 16, 16), not (1, 3, 32, 32)" in capsys.readouterr().err
    assert main(["export", "run", "--backbone", "--dynamic-batch", "--to", "onnx", "--out", "a.onnx"]) == 0
    assert main(["verify", "a.onnx", "run", "--images", "3"]) == 0
    weights = np.concatenate([onnx.numpy_helper.to_array(one).ravel() for one in onnx.load("a.onnx").graph.initializer])
    assert len(weights) < 32_000, "no head in it"
