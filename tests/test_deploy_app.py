"""What an app takes: an image in, a class and its probabilities out, weights of few bits; and how verify judges it."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_deploy_origin import MEAN, STD, enter, write_run
from torchvision.transforms.functional import normalize, pil_to_tensor

from deploy.__main__ import main
from deploy.comparing import noise
from deploy.compressing import COMPRESSIONS
from deploy.coreml_program import read_program, run_program
from deploy.opening import open_file
from deploy.origin import open_run
from deploy.packages import read_model
from deploy.quiet import coremltools, quietly
from supernet import format_spec, load_spec


@pytest.fixture
def here(tmp_path, monkeypatch):
    return enter(tmp_path, monkeypatch)


def call(command):
    return main(command.split())


LATER = [("int8", "iOS18"), ("palette4", "iOS18"), ("palette6", "iOS18")]
"""From here on, weights are stored in another way."""
APP = "export run --to coreml --image --out app.mlpackage"


def photograph(number):
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, (16, 16, 3), dtype=np.uint8))


@torch.no_grad()
def probabilities(run, image):
    """With torchvision's normalisation, not ours."""
    pixels = normalize(pil_to_tensor(image).float() / 255, MEAN, STD)
    return open_run(Path(run)).net(pixels[None]).softmax(-1)[0]


def test_an_image_classifier(here):
    assert call(f"{APP} --precision fp32 --author Me --licence MIT --description Digits") == 0
    description = read_model("app.mlpackage").description
    image = description.input[0].type.imageType
    assert (description.input[0].name, image.width, image.height) == ("image", 16, 16)
    assert image.colorSpace == image.RGB
    assert [one.name for one in description.output] == ["label", "label_probs"]
    assert (description.predictedFeatureName, description.predictedProbabilitiesName) == ("label", "label_probs")
    shown = description.metadata
    assert (shown.author, shown.license, shown.shortDescription) == ("Me", "MIT", "Digits")
    program = read_program("app.mlpackage")
    assert program.images == {"image"}
    assert program.classes == tuple(f"digit {number}" for number in range(10))
    for number in range(3):
        taken = photograph(number)
        given = run_program(program, {"image": pil_to_tensor(taken)[None]})
        expected = probabilities("run", taken)
        assert torch.allclose(given["label_probs"], expected, rtol=0, atol=2e-6)
        assert int(given["label"]) == int(expected.argmax())


def test_plain_tensors_unless_asked(here):
    assert call("export run --to coreml --out a.mlpackage") == 0
    assert [one.name for one in read_model("a.mlpackage").description.output] == ["y"]
    notes = read_model("a.mlpackage").description.metadata.userDefined
    assert notes["slimformer.mean"] == "0.5 0.4 0.3"
    assert notes["slimformer.classes"].splitlines()[9] == "digit 9"
    (here / "names.txt").write_text("".join(f"{number}\n" for number in range(10)))
    assert call("export spec.yaml --to coreml --labels names.txt --out a.mlpackage") == 0
    description = read_model("a.mlpackage").description
    assert [one.type.WhichOneof("Type") for one in description.input] == ["multiArrayType"]
    assert description.predictedFeatureName == "label"


def test_verification(here, capsys):
    """On the images of the run, of a folder, on noise; and it sees other weights, other preprocessing, other names."""
    assert call(APP) == 0
    capsys.readouterr()
    assert call("verify app.mlpackage run --images 5") == 0
    said = capsys.readouterr().out
    assert "app.mlpackage computes the same as its source: relative error" in said
    assert "tolerance 2e-03, on 5 validation images; the same class on 5 of 5; top-1 " in said
    (here / "photos" / "deep").mkdir(parents=True)
    for number in range(3):
        photograph(number).resize((40, 20)).save(here / "photos" / "deep" / f"{number}.png")
    assert call("verify app.mlpackage run --folder photos --images 2") == 0
    assert "on 2 images; the same class on 2 of 2\n" in capsys.readouterr().out
    like_run = "app.mlpackage spec.yaml --weights weights.safetensors"
    scale = f"--mean {' '.join(map(str, MEAN))} --std {' '.join(map(str, STD))}"
    assert call(f"verify {like_run} {scale}") == 0
    assert "on 2 noise images; the same class on 2 of 2\n" in capsys.readouterr().out
    assert call(f"verify {like_run}") == 1, "ImageNet's normalisation is another"
    assert call(f"verify app.mlpackage spec.yaml {scale}") == 1, "fresh weights are others"
    (here / "run" / "classes.txt").write_text("".join(f"digit {number}\n" for number in (0, 1, 3, 2, *range(4, 10))))
    capsys.readouterr()
    assert call("verify app.mlpackage run --images 2") == 1
    assert "it calls class 2 'digit 2', not 'digit 3'" in capsys.readouterr().out
    assert call("verify app.mlpackage run --images 2 --tolerance 1e-9") == 1


def test_what_verify_can_not_take(here, capsys):
    assert call("export run --to onnx --out a.onnx") == 0
    (here / "empty").mkdir()
    (here / "broken").mkdir()
    (here / "broken" / "a.png").write_text("no image")
    capsys.readouterr()
    for options, said in (
        ("--folder none", "none is no folder of images"),
        ("--folder empty", "empty has no images: looked for "),
        ("--folder broken", "a.png can't be read as an image: "),
        ("--tolerance 0", "--tolerance 0 is not above 0"),
    ):
        assert call(f"verify a.onnx run {options}") == 2
        assert said in capsys.readouterr().err


def weights_of(package):
    """Those of at least 2,048 numbers, by the shape they have."""
    constants = read_program(package).constants.values()
    return [one for one in constants if isinstance(one, torch.Tensor) and one.numel() >= 2048]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "target"), [*((kind, "iOS17") for kind in COMPRESSIONS), *LATER])
def test_compression(kind, target, here, capsys):
    """Our reading of small weights is coremltools' own, and what it costs is what one counts."""
    command = f"{APP} --compress {kind} --target {target} --images 40"
    assert call(command) == 0
    said = capsys.readouterr().out
    small, large = map(float, re.search(r": ([\d.]+) MB instead of ([\d.]+) MB, ", said).groups())
    assert small < large
    ct = coremltools()
    with quietly():
        plain = ct.optimize.coreml.decompress_weights(ct.models.MLModel("app.mlpackage", skip_model_load=True))
        plain.save("plain.mlpackage")
    ours, theirs = weights_of("app.mlpackage"), weights_of("plain.mlpackage")
    assert len(ours) == len(theirs) >= 3
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape
        assert float((one - other).abs().max()) <= 1e-3 * float(other.abs().max()), "a rounding of fp16"
    assert open_file("app.mlpackage").is_compressed
    assert "on 40 validation images\n" in said
    assert call("verify app.mlpackage run") == 2
    assert "has compressed weights, others on purpose: state by --tolerance" in capsys.readouterr().err
    assert call("verify app.mlpackage run --images 40 --tolerance 2") == 0
    accuracies = r"top-1 [\d.]+ % by the source, [\d.]+ % by the file"
    assert re.search(accuracies, capsys.readouterr().out)[0] == re.search(accuracies, said)[0]


@pytest.mark.slow
def test_the_same_weights_are_compressed_the_same(here, capsys):
    hashes = []
    for _ in range(2):
        assert call(f"{APP} --compress palette4") == 0
        hashes.append(re.search(r"sha256 (\w+)", capsys.readouterr().out)[1])
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--to onnx --out a.onnx --image", "--image is for --to coreml only"),
        ("--to onnx --out a.onnx --compress int8", "--compress is for --to coreml only"),
        ("--to torch --out a.pt", "a.pt: the name must end in .pt2"),
        ("--to coreml --out a.mlpackage --dynamic-batch", "--dynamic-batch is not for --to coreml"),
        ("--to coreml --out a.mlpackage --backbone --labels names.txt", "--labels is not for --backbone"),
        ("--to coreml --out a.mlpackage --labels names.txt", "two classes can't be called 'same'"),
    ],
)
def test_options_that_contradict(options, said, here, capsys):
    (here / "names.txt").write_text("same\n" * 10)
    assert call(f"export run {options}") == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert said in captured.err


def test_an_image_has_three_channels(here, capsys):
    grey = load_spec("spec.yaml").with_(in_chans=1)
    write_run(here / "grey", format_spec(grey))
    assert call("export grey --to coreml --image --out a.mlpackage") == 2
    assert "an image is 1 x 3 x height x width, this module takes 1 x 1 x 16 x 16" in capsys.readouterr().err
    assert call("export grey --to onnx --out a.onnx") == 0
    assert call("verify a.onnx grey --images 3") == 0


def test_noise_is_the_same_each_time():
    assert torch.equal(noise((1, 3, 4, 4), 1), noise((1, 3, 4, 4), 1))
    assert not torch.equal(noise((1, 3, 4, 4), 1), noise((1, 3, 4, 4), 2))
