"""ONNX and TorchScript files: every kind of part and a network a family computes the same as in PyTorch."""

import warnings

import onnx
import pytest
import torch
from exported_parts import part, part_names
from filling import lived_in
from msgspec.structs import replace
from torch import nn

from deploy import (
    ExportError,
    PackageError,
    export_onnx,
    export_torchscript,
    fuse_part,
    verify_onnx,
    verify_torchscript,
)
from supernet import build, fuse, load_spec

TOLERANCE = 1e-5
NETWORKS = ("efficientformer_l1", "efficientformerv2_s0", "iformer_t", "inception_iformer_small", "lowformer_b0")
SIZES = {"Shape", "Gather", "ConstantOfShape", "Range"}
"""Operations that compute sizes while the network runs; of a fixed shape, none is left."""


@pytest.mark.parametrize("name", part_names())
def test_parts(name, tmp_path):
    module, shape = part(name)
    fused = fuse_part(module)
    report = export_onnx(fused, shape, tmp_path / "part.onnx")
    difference = verify_onnx(report.path, module, shape, tolerance=TOLERANCE)
    assert difference.ok, str(difference)
    model = onnx.load(report.path)
    assert not SIZES & {node.op_type for node in model.graph.node}
    assert report.num_ops == sum(node.op_type != "Constant" for node in model.graph.node)
    dims = [
        [dim.dim_value for dim in one.type.tensor_type.shape.dim] for one in (*model.graph.input, *model.graph.output)
    ]
    assert dims == [list(report.shape_in), list(report.shape_out)]
    assert [path.name for path in tmp_path.iterdir()] == ["part.onnx"], "the weights are inside"
    report = export_torchscript(fused, shape, tmp_path / "part.pt")
    difference = verify_torchscript(report.path, module, shape, tolerance=TOLERANCE)
    assert difference.ok, str(difference)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls its own loader deprecated
        assert "aten::size" not in {node.kind() for node in torch.jit.load(report.path).inlined_graph.nodes()}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name, tmp_path):
    """Of the larger ones, each stage without its repetitions of blocks."""
    spec = load_spec(name).with_(resolution=64)
    if name != "iformer_t":
        stages = (replace(stage, blocks=tuple(dict.fromkeys(stage.blocks)), slots=None) for stage in spec.stages)
        spec = spec.with_(stages=tuple(stages))
    net = lived_in(build(spec)).eval()
    shape, fused = (1, 3, 64, 64), fuse(net)
    export_onnx(fused, shape, tmp_path / "net.onnx")
    assert verify_onnx(tmp_path / "net.onnx", net, shape, tolerance=TOLERANCE).ok
    export_torchscript(fused, shape, tmp_path / "net.pt")
    assert verify_torchscript(tmp_path / "net.pt", net, shape, tolerance=TOLERANCE).ok


def test_as_few_operations_as_the_other_exporter(tmp_path):
    """PyTorch has two; the quick one is used, and loses nothing."""
    module, shape = part("conv_attention")
    module = fuse_part(module)
    program = torch.onnx.export(module, (torch.zeros(shape),), dynamo=True, opset_version=20, verbose=False)
    theirs = sum(node.op_type != "Constant" for node in program.model_proto.graph.node)
    assert export_onnx(module, shape, tmp_path / "a.onnx").num_ops <= theirs


def test_equal_modules_have_equal_files(tmp_path):
    module, shape = part("attention_ffn")
    first, second = (export_onnx(module, shape, tmp_path / f"{name}.onnx") for name in "ab")
    assert first.sha256 == second.sha256
    with torch.no_grad():
        module.mixer.body.q.conv.bias[0] += 0.01
    assert export_onnx(module, shape, tmp_path / "b.onnx").sha256 != first.sha256


def test_what_the_file_says(tmp_path):
    export_onnx(nn.ReLU(), (1, 3, 4, 4), tmp_path / "a.onnx", spec_text="family: hybrid\n")
    model = onnx.load(tmp_path / "a.onnx")
    assert {one.key: one.value for one in model.metadata_props}["slimformer.spec"] == "family: hybrid\n"
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 20)]
    assert [model.graph.input[0].name, model.graph.output[0].name] == ["x", "y"]
    export_torchscript(nn.ReLU(), (1, 3, 4, 4), tmp_path / "a.pt", spec_text="family: hybrid\n")
    notes = {"slimformer.spec": "", "slimformer.version": ""}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.load(tmp_path / "a.pt", _extra_files=notes)
    assert notes["slimformer.spec"] == b"family: hybrid\n"
    assert notes["slimformer.version"]


@pytest.mark.parametrize("opset", [17, 18, 19])
def test_older_opsets(opset, tmp_path):
    module, shape = part("inception")
    export_onnx(fuse_part(module), shape, tmp_path / "a.onnx", opset=opset)
    assert onnx.load(tmp_path / "a.onnx").opset_import[0].version == opset
    assert verify_onnx(tmp_path / "a.onnx", module, shape, tolerance=TOLERANCE).ok


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
def test_verification_sees_another_network(kind, tmp_path):
    module, shape = part("mbconv")
    export, verify, path = {
        "onnx": (export_onnx, verify_onnx, tmp_path / "a.onnx"),
        "torchscript": (export_torchscript, verify_torchscript, tmp_path / "a.pt"),
    }[kind]
    export(fuse_part(module), shape, path)
    assert verify(path, module, shape).ok
    with torch.no_grad():
        module.local.body.project.norm.bias[0] += 0.01
    assert not verify(path, module, shape).ok
    with torch.no_grad():
        module.local.body.project.norm.bias[0] = float("nan")
    assert not verify(path, module, shape).ok
    with pytest.raises(PackageError, match=r"can't be run|can't run it"):
        verify(path, nn.Identity(), (1, 5, 4, 4))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(PackageError, match=r"is no model for ONNX Runtime|is no TorchScript file") as error:
        verify(path, module, shape)
    assert "\n" not in str(error.value)
    path.unlink()
    with pytest.raises(PackageError, match="there is no such file"):
        verify(path, module, shape)


class Unsupported(nn.Module):
    def forward(self, x):
        return torch.linalg.matrix_exp(x)


@pytest.mark.parametrize(
    ("export", "name", "options", "said"),
    [
        (export_onnx, "a.pt", {}, r"the name must end in \.onnx"),
        (export_torchscript, "a.onnx", {}, r"the name must end in \.pt"),
        (export_onnx, "a.onnx", {"opset": 16}, "opset 16 is not from 17 to 20"),
        (export_onnx, "a.onnx", {}, "the module can't be exported to ONNX: .*matrix_exp"),
        (export_torchscript, "missing/a.pt", {}, "can't be written: No such file or directory"),
    ],
)
def test_errors(export, name, options, said, tmp_path):
    with pytest.raises(ExportError, match=said) as error:
        export(Unsupported(), (1, 3, 8, 8), tmp_path / name, **options)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_an_export_leaves_no_trace(tmp_path, capfd, recwarn):
    module, shape = part("modulation in windows")
    module.train()
    export_onnx(module, shape, tmp_path / "a.onnx")
    export_torchscript(module, shape, tmp_path / "a.pt")
    assert all(one.training for one in module.modules())
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list
