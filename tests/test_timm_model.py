"""Our networks inside timm: models, feature maps, optimiser groups, checkpoints, and a script that knows timm only."""

import runpy
import sys

import pytest
import safetensors.torch
import timm
import torch
from filling import filled_state, gain_of, images
from timm.data import resolve_data_config
from timm.optim import create_optimizer_v2

import supernet.timm_model  # noqa: F401
from supernet import SpecError, WeightsError, build, load_spec, load_weights, save_spec, save_weights

NAMES = ("efficientformer_l1", "efficientformerv2_s0", "iformer_t", "inception_iformer_small", "lowformer_b0")


def slimformer(spec, **options):
    return timm.create_model("slimformer", spec=spec, **options)


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_features_only(name, tmp_path):
    """The same maps as timm's own network gives, or our plain network's where timm has none."""
    x = images(1, 224, 224)
    if name.startswith("inception"):
        net = build(load_spec(name)).eval()
        save_weights(net, tmp_path / "w.safetensors")
        wanted = net.forward_intermediates(x, intermediates_only=True)
    else:
        theirs = timm.create_model(name, features_only=True).eval()
        whole = timm.create_model(name)
        state = filled_state(whole.state_dict(), gain_of(name))
        safetensors.torch.save_file(state, tmp_path / "w.safetensors")
        backbone = getattr(theirs, "model", theirs)
        plain = {key.replace(".", "_"): tensor for key, tensor in state.items()}  # timm renames what it flattens
        backbone.load_state_dict({key: plain[key.replace(".", "_")] for key in backbone.state_dict()})
        wanted = theirs(x)
    features = slimformer(name, features_only=True, weights=tmp_path / "w.safetensors").eval()
    maps = features(x)
    assert features.feature_info.channels() == [m.shape[1] for m in maps]
    assert features.feature_info.reduction() == [4, 8, 16, 32]
    for ours, expected in zip(maps, wanted, strict=True):
        assert ours.shape == expected.shape
        assert (ours - expected).abs().max() <= 1e-4 * expected.std()


@torch.no_grad()
def test_some_feature_maps():
    features = slimformer("iformer_t", features_only=True, out_indices=(1, 2))
    assert [m.shape[1] for m in features(images(1, 96, 96))] == [64, 128]
    assert sum(p.numel() for p in features.parameters()) < 0.5 * sum(
        p.numel() for p in slimformer("iformer_t").parameters()
    )
    assert slimformer("iformer_t", num_classes=0)(images(1, 64, 64)).shape == (1, 256)
    assert slimformer("iformer_t", num_classes=0, global_pool="")(images(1, 64, 64)).shape == (1, 256, 2, 2)


def test_options(tmp_path):
    save_spec(load_spec("efficientformerv2_s0"), tmp_path / "mine.yaml")
    net = slimformer(
        str(tmp_path / "mine.yaml"), num_classes=7, in_chans=1, img_size=160, drop_rate=0.3, drop_path_rate=0.1
    )
    assert net(torch.randn(2, 1, 160, 160)).shape == (2, 7)
    assert net.head.dropout.p == 0.3
    assert resolve_data_config({}, model=net)["input_size"] == (1, 160, 160)
    with pytest.raises(SpecError, match="did you mean 'iformer_"):
        slimformer("iformer_n")
    with pytest.raises(ValueError, match="slimformer needs a spec"):
        timm.create_model("slimformer")
    assert slimformer("iformer_t", output_stride=32).num_classes == 1000
    with pytest.raises(ValueError, match="output_stride 8 is not 32"):
        slimformer("iformer_t", output_stride=8)
    assert slimformer("iformer_t").pretrained_cfg["fixed_input_size"] is False
    with pytest.raises(TypeError, match="drop_pathrate"):
        slimformer("iformer_t", drop_pathrate=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_optimiser_groups(name):
    """Vectors and position tables are not decayed; layer decay falls from head to stem."""
    net = slimformer(name)
    groups = create_optimizer_v2(net, opt="adamw", lr=1e-3, weight_decay=0.05).param_groups
    plain = {id(p) for group in groups if group["weight_decay"] == 0 for p in group["params"]}
    for tensor_name, parameter in net.named_parameters():
        assert (id(parameter) in plain) == (parameter.ndim <= 1 or tensor_name.endswith(".table")), tensor_name
    groups = create_optimizer_v2(net, opt="adamw", lr=1e-3, layer_decay=0.8).param_groups
    scale = {id(p): group["lr_scale"] for group in groups for p in group["params"]}
    scales = {tensor_name: scale[id(parameter)] for tensor_name, parameter in net.named_parameters()}
    head = [value for tensor_name, value in scales.items() if tensor_name.startswith("head")]
    assert set(head) == {1.0}
    assert (
        min(scales.values())
        == scales["stem.conv1.conv.weight"]
        < scales[
            "stages.3.blocks.1.ffn.body.project"
            + (".weight" if name.startswith("inception") or name == "lowformer_b0" else ".conv.weight")
        ]
    )


@pytest.mark.parametrize("options", [{}, {"num_classes": 5}, {"img_size": 160}, {"in_chans": 1}])
def test_pretrained_file(options, tmp_path, caplog):
    """timm's way of naming local weights follows the rules of `load_weights`, and says what it changed."""
    net = build(load_spec("efficientformerv2_s0"))
    save_weights(net, tmp_path / "w.safetensors")
    overlay = {"file": str(tmp_path / "w.safetensors")}
    ours = slimformer("efficientformerv2_s0", pretrained=True, pretrained_cfg_overlay=overlay, **options)
    assert torch.equal(ours.stem.conv2.conv.weight, net.stem.conv2.conv.weight)
    classes = options.get("num_classes", 1000)
    assert ours.head.classifier.second.weight.shape == (classes, 176)
    assert torch.equal(ours.head.classifier.second.weight, net.head.classifier.second.weight) == (classes == 1000)
    said = {"num_classes": "classifier reset", "img_size": "tables interpolated", "in_chans": "3 to 1 input channels"}
    assert all(said[option] in caplog.text for option in options)
    wrong = load_spec("efficientformerv2_s0").with_(distilled=False)
    with pytest.raises(WeightsError, match="set `distilled: true`"):
        slimformer(wrong, pretrained=True, pretrained_cfg_overlay=overlay)


def test_new_classifier_is_saved_as_such(tmp_path):
    net = slimformer("iformer_t")
    net.reset_classifier(3)
    save_weights(net, tmp_path / "w.safetensors")
    again = build(load_spec("iformer_t").with_(num_classes=3))
    assert load_weights(again, tmp_path / "w.safetensors").changed == []
    with pytest.raises(ValueError, match="this network has one classifier"):
        net.set_distilled_training()
    with pytest.raises(ValueError, match="global_pool 'max' is not one of"):
        net.reset_classifier(3, "max")


TRAIN_SCRIPT = """
import argparse, torch, timm
from timm.utils import ParseKwargs
parser = argparse.ArgumentParser()
parser.add_argument("--model")
parser.add_argument("--model-kwargs", nargs="*", default={}, action=ParseKwargs)
args = parser.parse_args()
torch.manual_seed(0)
net = timm.create_model(args.model, num_classes=4, **args.model_kwargs)
x, y = torch.randn(8, 3, 64, 64), torch.arange(8) % 4
optimizer = timm.optim.create_optimizer_v2(net, opt="adamw", lr=1e-3)
losses = []
for _ in range(8):
    loss = torch.nn.functional.cross_entropy(net(x), y)
    optimizer.zero_grad(); loss.backward(); optimizer.step()
    losses.append(loss.item())
print("fell" if losses[-1] < 0.5 * losses[0] else losses)
"""


def test_foreign_script(tmp_path, capsys, monkeypatch):
    """A script that knows timm only, run as docs/networks.md says."""
    script = tmp_path / "train.py"
    script.write_text(TRAIN_SCRIPT)
    monkeypatch.setattr(sys, "argv", ["train.py", "--model", "slimformer", "--model-kwargs", "spec=iformer_t"])
    runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out.strip() == "fell"
