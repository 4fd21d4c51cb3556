"""Core ML packages: every kind of part and a network a family computes the same from the saved file as in PyTorch."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from exported_parts import part, part_names
from filling import lived_in
from msgspec.structs import replace
from torch import nn

from deploy import ExportError, export_coreml, fuse_part, package_hash, verify_coreml
from deploy.coreml_program import read_program
from deploy.packages import read_model
from supernet import build, format_spec, fuse, load_spec

HALF, SINGLE = 2e-3, 2e-5
ON_OTHER_SYSTEMS = [
    ("modulation", "iOS16"),
    ("modulation in windows", "iOS18"),
    ("inception on means", "macOS15"),
    ("conv_attention at half size, odd map", "iOS26"),
]
NETWORKS = ("efficientformer_l1", "efficientformerv2_s0", "iformer_t", "inception_iformer_small", "lowformer_b0")


def export_and_verify(module, shape, path, tolerance, **options):
    """The source is the module as it was trained, the package comes from its fused form."""
    report = export_coreml(fuse_part(module), shape, path, **options)
    for rounded in (False, True):
        difference = verify_coreml(path, module, shape, tolerance=tolerance, rounded=rounded)
        assert difference.ok, str(difference)
    return report


@pytest.mark.parametrize("name", part_names())
def test_parts(name, tmp_path):
    module, shape = part(name)
    report = export_and_verify(module, shape, tmp_path / "part.mlpackage", HALF)
    with torch.no_grad():
        assert report.shape_out == module(torch.zeros(shape)).shape
    assert report.num_ops == len(read_program(report.path).operations)


@pytest.mark.parametrize("name", part_names()[::3])
def test_single_precision(name, tmp_path):
    module, shape = part(name)
    report = export_and_verify(module, shape, tmp_path / "part.mlpackage", SINGLE, precision="fp32")
    assert report.shape_out == module(torch.zeros(shape)).shape


@pytest.mark.parametrize(("name", "target"), ON_OTHER_SYSTEMS)
def test_targets(name, target, tmp_path):
    module, shape = part(name)
    report = export_and_verify(module, shape, tmp_path / "part.mlpackage", HALF, target=target)
    kinds = [operation.kind for operation in read_program(report.path).operations]
    assert ("scaled_dot_product_attention" in kinds) == (target != "iOS16")


def test_parts_that_are_not_fused(tmp_path):
    for name in ("pooling", "head pool_norm"):
        module, shape = part(name)
        export_coreml(module, shape, tmp_path / "raw.mlpackage")
        assert verify_coreml(tmp_path / "raw.mlpackage", module, shape, tolerance=HALF).ok


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name, tmp_path):
    """Of the larger ones, each stage without its repetitions of blocks."""
    spec = load_spec(name).with_(resolution=64)
    if name != "iformer_t":
        stages = (replace(stage, blocks=tuple(dict.fromkeys(stage.blocks)), slots=None) for stage in spec.stages)
        spec = spec.with_(stages=tuple(stages))
    net = lived_in(build(spec)).eval()
    path, shape = tmp_path / "net.mlpackage", (1, 3, 64, 64)
    export_coreml(fuse(net), shape, path)
    assert verify_coreml(path, net, shape, tolerance=HALF).ok
    assert verify_coreml(path, net, shape, tolerance=HALF, rounded=True).ok


def test_verification_sees_another_network(tmp_path):
    """A single weight of 0.6 instead of 0.3 in one norm is enough, and so is a number beyond the range of fp16."""
    module, shape = part("conv_attention")
    path = tmp_path / "part.mlpackage"
    export_coreml(fuse_part(module), shape, path)
    with torch.no_grad():
        module.ffn.body.norm.weight[0] += 0.3
    difference = verify_coreml(path, module, shape)
    assert not difference.ok
    assert "part.mlpackage DIFFERS from its source: relative error" in str(difference)
    large = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1))
    with torch.no_grad():
        large[0].weight.mul_(1e6)
        large[1].weight.mul_(1e-6)
    export_coreml(large, (1, 3, 4, 4), path)
    assert not verify_coreml(path, large, (1, 3, 4, 4), rounded=True).ok


def test_what_the_package_says(tmp_path):
    module, shape = part("pooling")
    export_coreml(module, shape, tmp_path / "a.mlpackage", spec_text="family: hybrid\n")
    model = read_model(tmp_path / "a.mlpackage")
    assert model.specificationVersion == 8, "iOS 17"
    notes = dict(model.description.metadata.userDefined)
    assert notes["slimformer.spec"] == "family: hybrid\n"
    assert notes["slimformer.version"]
    assert not any("date" in name for name in notes)
    half, single = 65552, 65568
    for which, expected in ((None, half), ("fp16", half), ("fp32", single)):
        export_coreml(module, shape, tmp_path / "a.mlpackage", io_precision=which)
        description = read_model(tmp_path / "a.mlpackage").description
        for one, name in ((description.input[0], "x"), (description.output[0], "y")):
            assert one.name == name
            assert list(one.type.multiArrayType.shape) == list(shape)
            assert one.type.multiArrayType.dataType == expected
        assert verify_coreml(tmp_path / "a.mlpackage", module, shape, tolerance=HALF).ok


def files_of(package):
    return sorted(str(file.relative_to(package)) for file in package.rglob("*") if file.is_file())


def test_equal_modules_have_equal_packages(tmp_path):
    hashes = set()
    for name in ("a", "b", "a"):
        module, shape = part("token_attention")
        for index, parameter in enumerate(module.parameters()):
            torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(index))
        report = export_coreml(module, shape, tmp_path / f"{name}.mlpackage")
        assert report.sha256 == package_hash(tmp_path / f"{name}.mlpackage")
        assert files_of(report.path) == [
            "Data/com.apple.CoreML/model.mlmodel",
            "Data/com.apple.CoreML/weights/weight.bin",
            "Manifest.json",
        ]
        assert report.size_bytes == sum((report.path / file).stat().st_size for file in files_of(report.path))
        hashes.add(report.sha256)
    assert len(hashes) == 1
    for options in ({"target": "iOS16"}, {"precision": "fp32"}, {"spec_text": "other"}):
        hashes.add(export_coreml(module, shape, tmp_path / "c.mlpackage", **options).sha256)
    with torch.no_grad():
        module.mixer.body.q.bias[0] += 0.01
    hashes.add(export_coreml(module, shape, tmp_path / "c.mlpackage").sha256)
    assert len(hashes) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mlpackage", "b.mlpackage", "c.mlpackage"]


@pytest.mark.slow
def test_equal_packages_from_another_process(tmp_path):
    """Whose hash tables have another order."""
    code = (
        "import sys, torch; torch.manual_seed(0); from deploy import *; from exported_parts import part; "
        "module, shape = part('inception'); print(export_coreml(module, shape, sys.argv[1]).sha256)"
    )
    tests = Path(__file__).parent
    environment = os.environ | {
        "PYTHONHASHSEED": "1",
        "PYTHONPATH": os.pathsep.join(map(str, (tests, tests.parent))),
    }
    command = [sys.executable, "-c", code, str(tmp_path / "theirs.mlpackage")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stderr == "", "an export is quiet, from the import on"
    module, shape = part("inception")
    assert export_coreml(module, shape, tmp_path / "ours.mlpackage").sha256 == done.stdout.strip()


def test_an_export_leaves_no_trace(tmp_path, capfd, recwarn, monkeypatch):
    frozen = []
    monkeypatch.setattr(gc, "get_freeze_count", lambda: len(frozen))
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append("all"))
    monkeypatch.setattr(gc, "unfreeze", frozen.clear)
    module, shape = part("modulation")
    module.train()
    module.ffn.eval()
    modes = [one.training for one in module.modules()]
    random = torch.random.get_rng_state()
    export_coreml(module, shape, tmp_path / "part.mlpackage")
    verify_coreml(tmp_path / "part.mlpackage", module, shape)
    assert [one.training for one in module.modules()] == modes
    assert torch.equal(random, torch.random.get_rng_state())
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list
    assert not frozen
    assert torch.is_grad_enabled()


class TwoOutputs(nn.Module):
    def forward(self, x):
        return x, x + 1


class Unsupported(nn.Module):
    def forward(self, x):
        return torch.linalg.matrix_exp(x)


@pytest.mark.parametrize(
    ("module", "shape", "name", "options", "said"),
    [
        (
            nn.Identity(),
            (3, 8, 8),
            "a.mlpackage",
            {},
            r"the shape \(3, 8, 8\) is not \(batch, channels, height, width\)",
        ),
        (nn.Identity(), (1, 3, 8, 0), "a.mlpackage", {}, "the shape"),
        (nn.Identity(), (1, 3, 8, 8), "a.mlmodel", {}, r"a\.mlmodel: the name must end in \.mlpackage"),
        (nn.Identity(), (1, 3, 8, 8), "a.mlpackage", {"target": "iOS15"}, "'iOS15' is not one of iOS16, iOS17, iOS18"),
        (
            nn.Identity(),
            (1, 3, 8, 8),
            "a.mlpackage",
            {"precision": "int8"},
            "precision 'int8' is not one of fp16, fp32",
        ),
        (nn.Conv2d(3, 4, 1).half(), (1, 3, 8, 8), "a.mlpackage", {}, "weight is torch.float16 on cpu; an export takes"),
        (nn.Conv2d(4, 4, 1), (1, 3, 8, 8), "a.mlpackage", {}, "can't take an input of 1 x 3 x 8 x 8: .* channels"),
        (TwoOutputs(), (1, 3, 8, 8), "a.mlpackage", {}, "the module gives tuple; a file gives a single tensor"),
        (Unsupported(), (1, 3, 8, 8), "a.mlpackage", {}, "coremltools can't convert the module: .*matrix_exp"),
        (nn.ReLU(), (1, 3, 8, 8), "missing/a.mlpackage", {}, "can't be written: No such file or directory"),
    ],
)
def test_errors(module, shape, name, options, said, tmp_path):
    with pytest.raises(ExportError, match=said) as error:
        export_coreml(module, shape, tmp_path / name, **options)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_the_old_package(tmp_path, monkeypatch):
    import coremltools

    path, shape = tmp_path / "a.mlpackage", (1, 3, 8, 8)
    old = export_coreml(nn.ReLU(), shape, path).sha256
    with pytest.raises(ExportError):
        export_coreml(Unsupported(), shape, path)

    def fill_the_disk(*_, package_dir, **__):
        Path(package_dir).mkdir()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(coremltools, "convert", fill_the_disk)
    with pytest.raises(ExportError, match=r"a\.mlpackage can't be written: No space left on device"):
        export_coreml(nn.Sigmoid(), shape, path)
    assert package_hash(path) == old
    assert [one.name for one in tmp_path.iterdir()] == ["a.mlpackage"]


def test_only_a_package_is_replaced(tmp_path):
    mine = tmp_path / "photos.mlpackage"
    mine.mkdir()
    (mine / "photo.jpg").write_text("dear")
    with pytest.raises(ExportError, match="is no Core ML package, so it is not replaced"):
        export_coreml(nn.ReLU(), (1, 3, 8, 8), mine)
    assert (mine / "photo.jpg").read_text() == "dear"


def test_spec_in_the_package_reads_back(tmp_path):
    spec = load_spec("iformer_t")
    export_coreml(nn.ReLU(), (1, 3, 8, 8), tmp_path / "a.mlpackage", spec_text=format_spec(spec))
    text = read_model(tmp_path / "a.mlpackage").description.metadata.userDefined["slimformer.spec"]
    (tmp_path / "spec.yaml").write_text(text)
    assert load_spec(tmp_path / "spec.yaml") == spec
