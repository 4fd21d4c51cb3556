"""The network that a command of deploy is about: read from a run of retrain.py, or from a spec and options."""

import pytest
import torch
from filling import lived_in

from deploy.__main__ import main
from deploy.origin import open_run
from supernet import build, load_spec, parse_spec, save_spec, save_weights

SPEC = """\
family: iformer
resolution: 16
num_classes: 10
stem: {kind: expand, width: 16, kernel: 3, strides: [2, 1]}
stages:
- width: 16
  blocks:
  - {kind: conv, kernel: 3, expand: 4}
- width: 32
  downsample: {kind: conv, kernel: 3, bias: false}
  blocks:
  - {kind: modulation, kernel: 3, reduction: 2, expand: 3}
head: {kind: pool_norm}
"""
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
CONFIG = f"spec: spec.yaml\ndata: {{source: digits}}\naugment: {{mean: {list(MEAN)}, std: {list(STD)}, crop_pct: 1}}\n"


@torch.no_grad()
def answering(spec):
    """A network whose scores depend on the image, and on each of its parts."""
    torch.manual_seed(0)
    net = lived_in(build(spec))
    for parameter in net.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    return net.eval()


def write_run(folder, text=SPEC, config=CONFIG, classes=10):
    """What retrain.py leaves, of a network that learnt nothing."""
    folder.mkdir()
    spec = parse_spec(text)
    save_spec(spec, folder / "spec.yaml")
    save_weights(answering(spec), folder / "model.safetensors")
    (folder / "config.yaml").write_text(config)
    (folder / "results.json").write_text('{"top1": 12.5, "top5": 50.0, "loss": 2.3, "epochs": 3}')
    if classes:
        (folder / "classes.txt").write_text("".join(f"digit {number}\n" for number in range(classes)))
    return folder


def enter(tmp_path, monkeypatch):
    """A folder with `run`, and with its parts."""
    monkeypatch.chdir(tmp_path)
    run = write_run(tmp_path / "run")
    (tmp_path / "spec.yaml").write_text((run / "spec.yaml").read_text())
    (tmp_path / "weights.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    return tmp_path


@pytest.fixture
def here(tmp_path, monkeypatch):
    return enter(tmp_path, monkeypatch)


def test_a_run_says_everything(here):
    origin = open_run(here / "run")
    assert origin.spec == load_spec("spec.yaml")
    assert origin.classes == tuple(f"digit {number}" for number in range(10))
    assert (origin.augment.mean, origin.augment.std, origin.augment.crop_pct) == (MEAN, STD, 1)
    assert not origin.net.training
    expected = answering(origin.spec).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in origin.net.state_dict().items())
    larger = open_run(here / "run", resolution=32)
    assert larger.shape == (1, 3, 32, 32)


def test_other_labels(here):
    (here / "german.txt").write_text("".join(f"Ziffer {number}\n" for number in range(10)))
    assert open_run(here / "run", labels=here / "german.txt").classes[3] == "Ziffer 3"


EXPORT = "--to onnx --out a.onnx"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (f"export none {EXPORT}", "none: no published network has this name"),
        (f"export . {EXPORT}", ". is no finished run of retrain.py: config.yaml is missing"),
        (f"export run {EXPORT} --weights weights.safetensors", "--weights is for a SPEC: run is a run"),
        (f"export run {EXPORT} --mean 0.5 0.5 0.5", "--mean is for a SPEC: run is a run"),
        (f"export spec.yaml {EXPORT} --std 0.2 0 0.2", "augment.std: (0.2, 0.0, 0.2): images are divided by it"),
        (f"export spec.yaml {EXPORT} --mean 2 0 0", "mean[0]: 2.0 is not a number from 0 to 1"),
        (f"export spec.yaml {EXPORT} --labels few.txt", "few.txt has 2 names, the network has 10 classes"),
        (f"export spec.yaml {EXPORT} --labels gap.txt", "gap.txt: line 2 is empty; each line is the name of a class"),
        (f"export spec.yaml {EXPORT} --labels none.txt", "none.txt: there is no such file"),
        (f"export run {EXPORT} --resolution 5000", "resolution: 5000 is not a number from 16 to 4,096"),
        (f"export other.yaml {EXPORT} --weights weights.safetensors", "is for another number of classes"),
        (f"export wide.yaml {EXPORT} --weights weights.safetensors", "does not fit the network. "),
        (f"export halves.yaml {EXPORT} --resolution 36", "stride: 2 needs an even feature map, this one is 9x9"),
        ("verify run/spec.yaml run", "the ending '.yaml' is unknown, known are .mlpackage, .onnx, .pt, .pt2"),
        ("card spec.yaml --out card", "spec.yaml is no folder of retrain.py"),
    ],
)
def test_errors(command, said, here, capsys):
    (here / "few.txt").write_text("a\nb\n")
    (here / "gap.txt").write_text("a\n\nb\n")
    save_spec(load_spec("spec.yaml").with_(num_classes=7), "other.yaml")
    (here / "wide.yaml").write_text(SPEC.replace("expand: 3}", "expand: 2}"))
    attention = "{kind: attention_ffn, heads: 2, key_width: 4, value_width: 4, kernel: 3, expand: 2, stride: 2}"
    halves = SPEC.replace("family: iformer", "family: hybrid").replace("{kind: conv, kernel: 3, expand: 4}", attention)
    (here / "halves.yaml").write_text(halves.replace("strides: [2, 1]", "strides: [2, 2]"))
    assert main(command.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err
    assert not (here / "a.onnx").exists()
