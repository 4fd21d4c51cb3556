"""The commands of `python -m deploy`."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from filling import lived_in

from deploy.__main__ import main
from deploy.packages import read_model
from supernet import build, load_spec, parse_spec, save_spec, save_weights

SMALL = """\
family: hybrid
resolution: 32
num_classes: 5
stem: {kind: convs, width: 8, kernel: 3, act: relu}
stages:
- width: 8
  blocks:
  - {kind: attention_ffn, heads: 2, key_width: 4, value_width: 4, kernel: 3, expand: 2}
head: {kind: norm_pool, norm: batch}
"""
FILES = {"coreml": "net.mlpackage", "onnx": "net.onnx", "torchscript": "net.pt", "torch": "net.pt2"}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with spec.yaml and weights.safetensors of it."""
    monkeypatch.chdir(tmp_path)
    spec = parse_spec(SMALL)
    save_spec(spec, "spec.yaml")
    save_weights(lived_in(build(spec)), "weights.safetensors", names="own")
    return tmp_path


@pytest.mark.parametrize(("kind", "file"), FILES.items())
def test_export_and_verify(kind, file, here, capsys):
    state = torch.random.get_rng_state()
    weights = ["--weights", "weights.safetensors"]
    assert main(["export", "spec.yaml", "--to", kind, "--out", file, *weights]) == 0
    out = capsys.readouterr().out
    assert f"{file}: " in out
    assert "operations, 1x3x32x32 to 1x5\nsha256 " in out
    assert main(["verify", file, "spec.yaml", *weights]) == 0
    assert f"{file} computes the same as its source: relative error" in capsys.readouterr().out
    assert main(["verify", file, "spec.yaml"]) == 1, "fresh weights are others"
    assert f"{file} DIFFERS from its source" in capsys.readouterr().out
    assert torch.equal(state, torch.random.get_rng_state())


def test_fresh_weights_are_the_same_each_time(here, capsys):
    torch.manual_seed(1)
    assert main(["export", "spec.yaml", "--to", "onnx", "--out", "a.onnx", "--resolution", "48"]) == 0
    assert "1x3x48x48" in capsys.readouterr().out
    torch.manual_seed(2)
    assert main(["verify", "a.onnx", "spec.yaml", "--resolution", "48"]) == 0


def test_the_options_of_coreml(here):
    command = [
        "export",
        "spec.yaml",
        "--to",
        "coreml",
        "--out",
        "a.mlpackage",
        "--target",
        "iOS18",
        "--precision",
        "fp32",
    ]
    assert main(command) == 0
    model = read_model("a.mlpackage")
    assert model.specificationVersion == 9
    assert parse_spec(model.description.metadata.userDefined["slimformer.spec"]) == load_spec("spec.yaml")
    assert main(["verify", "a.mlpackage", "spec.yaml"]) == 0


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            "export iformer_x --to onnx --out a.onnx",
            "iformer_x: no published network has this name, did you mean 'iformer_",
        ),
        ("export none.yaml --to onnx --out a.onnx", "none.yaml: there is no such file"),
        ("export spec.yaml --to onnx --out a.pt", "a.pt: the name must end in .onnx"),
        ("export spec.yaml --to onnx --out none/a.onnx", "can't be written: No such file or directory"),
        ("export spec.yaml --to onnx --out a.onnx --resolution 7", "resolution: 7 is not a number from 16 to 4,096"),
        ("export spec.yaml --to onnx --out a.onnx --weights none.pth", "none.pth: there is no such file"),
        ("export spec.yaml --to onnx --out a.onnx --target iOS17", "--target is for --to coreml only"),
        (
            "export spec.yaml --to coreml --out a.mlpackage --target iOS9",
            "the target 'iOS9' is not one of iOS16, iOS17, ",
        ),
        ("verify a.mlpackage spec.yaml", "a.mlpackage: there is no such package"),
        ("verify a.onnx spec.yaml", "a.onnx: there is no such file"),
        ("verify spec.yaml spec.yaml", "the ending '.yaml' is unknown, known are .mlpackage, .onnx, .pt, .pt2"),
    ],
)
def test_errors(command, said, here, capsys):
    assert main(command.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err


def test_a_file_of_another_shape(here, capsys):
    assert main(["export", "spec.yaml", "--to", "coreml", "--out", "a.mlpackage"]) == 0
    assert main(["verify", "a.mlpackage", "spec.yaml", "--resolution", "48"]) == 2
    assert "the input 'x' is (1, 3, 48, 48), not (1, 3, 32, 32)" in capsys.readouterr().err


def test_unknown_kind_of_file(here, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["export", "spec.yaml", "--to", "tflite", "--out", "a.tflite"])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert all(kind in said for kind in FILES)


@pytest.mark.parametrize("command", [[], ["export"], ["verify"]])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--help"])
    assert stopped.value.code == 0
    assert "usage: python -m deploy" in capsys.readouterr().out


def test_heavy_packages_are_imported_where_they_are_used():
    heavy = ("coremltools", "onnx", "onnxruntime", "onnxscript")
    code = f"import deploy, deploy.__main__, sys; print([name for name in {heavy} if name in sys.modules])"
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"
