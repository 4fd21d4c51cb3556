"""Trained networks by name: they compute what was saved, know their images, and say in one line what doesn't fit."""

import random

import pytest
import timm
import torch

from supernet import SpecError, WeightsError, count, save_spec, save_weights
from tests.judged_runs import network, tiny_spec, write_run
from tests.random_specs import random_spec
from training.judging import open_model

SMALL_VIT = "vit_tiny_patch16_224"


def same(net, other, size):
    images = torch.randn(3, 3, *size)
    with torch.no_grad():
        return torch.equal(net(images), other.eval()(images))


def test_a_run(tmp_path):
    net = write_run(tmp_path / "mine", crop_pct=0.9, interpolation="random", run_seed=3)
    model = open_model(str(tmp_path / "mine"), num_classes=10)
    assert same(model.net, net, (16, 16))
    assert not model.net.training
    assert (model.name, model.size, model.crop_pct, model.interpolation) == ("mine", (16, 16), 0.9, "bilinear")
    assert (model.mean, model.std) == ((0.3,) * 3, (0.35,) * 3)
    assert (model.params, model.macs) == count(net.spec)[:2]
    assert model.spec == net.spec
    assert model.classes == tuple("0123456789")
    assert model.seed == 3
    assert model.data.held_out == 50


def test_other_weights_for_a_run(tmp_path):
    write_run(tmp_path / "mine")
    other = network(tiny_spec(), seed=9)
    save_weights(other, tmp_path / "other.pth")
    model = open_model(str(tmp_path / "mine"), weights=tmp_path / "other.pth")
    assert same(model.net, other, (16, 16))


@pytest.mark.parametrize("names", ["timm", "own"])
@pytest.mark.parametrize("classes", [3, 17])
def test_a_spec_knows_the_classes_of_its_weights(tmp_path, names, classes):
    net = network(tiny_spec(num_classes=classes))
    save_weights(net, tmp_path / "weights.pth", names=names)  # such a file says nothing of its spec
    save_spec(tiny_spec(), tmp_path / "small.yaml")
    model = open_model(str(tmp_path / "small.yaml"), weights=tmp_path / "weights.pth", resolution=32)
    assert model.num_classes == classes
    assert model.size == (32, 32)
    assert model.name == "small"
    assert same(model.net, net, (32, 32))
    assert model.macs == count(net.spec.with_(resolution=32)).macs


@pytest.mark.parametrize("seed", range(8))
def test_any_spec(tmp_path, seed):
    spec = random_spec(random.Random(seed)).with_(num_classes=6)
    net = network(spec)
    save_weights(net, tmp_path / "weights.pth", names="own")
    save_spec(spec.with_(num_classes=5), tmp_path / "spec.yaml")
    model = open_model(str(tmp_path / "spec.yaml"), weights=tmp_path / "weights.pth")
    images = torch.randn(2, spec.in_chans, *spec.size)
    with torch.no_grad():
        assert torch.equal(model.net(images), net(images))


def test_a_published_network_from_a_checkpoint_of_timm(tmp_path):
    theirs = timm.create_model("efficientformerv2_s0", num_classes=7)
    torch.save(theirs.state_dict(), tmp_path / "s0.pth")
    ours = open_model("efficientformerv2_s0", weights=tmp_path / "s0.pth")
    again = open_model("timm/efficientformerv2_s0", weights=tmp_path / "s0.pth")
    assert (ours.num_classes, again.num_classes) == (7, 7)
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        assert torch.equal(again.net(images), theirs.eval()(images))
        torch.testing.assert_close(ours.net(images), again.net(images), rtol=1e-4, atol=1e-5)
    assert (again.params, again.macs) == (ours.params, ours.macs)
    assert again.crop_pct == 0.95
    assert again.name == "timm/efficientformerv2_s0"


def test_models_of_timm_alone(tmp_path):
    theirs = timm.create_model("resnet10t", num_classes=4).eval()
    torch.save({"state_dict": theirs.state_dict()}, tmp_path / "r.pth")
    model = open_model("timm/resnet10t.c3_in1k", weights=tmp_path / "r.pth", resolution=64)
    assert (model.num_classes, model.macs, model.size) == (4, None, (64, 64))
    assert model.params == sum(parameter.numel() for parameter in theirs.parameters())
    assert same(model.net, theirs, (64, 64))


def test_tables_of_timm_are_resized(tmp_path):
    torch.save(timm.create_model(SMALL_VIT, num_classes=2).state_dict(), tmp_path / "vit.pth")
    model = open_model(f"timm/{SMALL_VIT}", weights=tmp_path / "vit.pth", resolution=96)
    assert model.size == (96, 96)
    assert model.net(torch.randn(1, 3, 96, 96)).shape == (1, 2)
    assert model.mean == (0.5, 0.5, 0.5)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    save_weights(network(tiny_spec()), folder / "tiny.safetensors")
    torch.save(timm.create_model("efficientformer_l1", num_classes=2).state_dict(), folder / "l1.pth")
    return folder


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("iformer_t", {}, "iformer_t: is a spec and has no weights: --weights FILE"),
        ("iformer_x", {"weights": "tiny.safetensors"}, "iformer_x: no published network has this name"),
        ("iformer_t", {"weights": "tiny.safetensors"}, "does not fit the network.*missing in the file: .*stages"),
        ("iformer_t", {"weights": "none.pth"}, "none.pth: there is no such file"),
        (
            "efficientformerv2_s0",
            {"weights": "l1.pth", "resolution": 231},
            "--resolution: .*nearest that work: 224, 256",
        ),
        ("timm/resnet19", {}, "timm/resnet19: timm has no such model, did you mean"),
        ("timm/resnet18.imagenet", {}, r"timm/resnet18.imagenet: Invalid pretrained tag \(imagenet\)"),
        ("timm/resnet10t", {"weights": "tiny.safetensors"}, "does not fit timm/resnet10t: Missing key.*conv1"),
        (
            "timm/efficientformer_l1",
            {"weights": "l1.pth", "resolution": 160},
            "--resolution: .*l1 can't take images of 160x160",
        ),
        ("timm/efficientformer_l1", {"weights": "l1.pth", "num_classes": 10}, "knows 2 classes, and the data have 10"),
    ],
)
def test_one_line_says_what_is_wrong(weights, name, options, said):
    if "weights" in options:
        options = options | {"weights": weights / options["weights"]}
    with pytest.raises((SpecError, WeightsError), match=said) as error:
        open_model(name, **options)
    assert "\n" not in str(error.value)


def test_folders_that_are_no_finished_runs(tmp_path):
    write_run(tmp_path / "run")
    (tmp_path / "run" / "classes.txt").write_text("a\nb\n")
    with pytest.raises(SpecError, match=r"classes.txt: has 2 names, and the network 10 classes"):
        open_model(str(tmp_path / "run"))
    for name in ("results.json", "model.safetensors"):
        write_run(tmp_path / name)
        (tmp_path / name / name).unlink()
        with pytest.raises(SpecError, match="has not finished"):
            open_model(str(tmp_path / name))
    (tmp_path / "run" / "spec.yaml").unlink()
    with pytest.raises(SpecError, match=r"is no run of retrain.py: spec.yaml is missing"):
        open_model(str(tmp_path / "run"))


def test_a_run_with_weights_for_other_classes(tmp_path):
    write_run(tmp_path / "run")
    save_weights(network(tiny_spec(num_classes=4)), tmp_path / "four.safetensors")
    with pytest.raises(WeightsError, match="knows 4 classes, and the network has 10 classes"):
        open_model(str(tmp_path / "run"), weights=tmp_path / "four.safetensors")
