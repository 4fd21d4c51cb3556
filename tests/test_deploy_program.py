"""The evaluator: its operations against other code, and its errors, which say where in a program something is wrong."""

import random
import shutil

import numpy as np
import pytest
import torch
from exported_parts import part
from torch import nn
from torch.nn import functional as F

from deploy import PackageError, export_coreml, fuse_part, run_package
from deploy.coreml_program import read_program, run_program
from deploy.coreml_program.operators import OPERATORS, Arguments
from deploy.packages import model_file, read_model

SHAPE = (1, 12, 6, 8)


def run(kind, **given):
    def value(one):
        return one if isinstance(one, str | torch.Tensor) else torch.tensor(one)

    return OPERATORS[kind](Arguments({name: [value(one)] for name, one in given.items()}))


def normal(*shape):
    return torch.randn(shape, dtype=torch.float64)


def assert_equal(actual, expected):
    assert actual.shape == expected.shape
    assert torch.allclose(actual, expected, rtol=0, atol=1e-12)


def test_convolutions():
    x, weight, bias = normal(2, 4, 6, 7), normal(6, 2, 3, 3), normal(6)
    padded = F.pad(x, (2, 1, 1, 0))  # left, right, top, bottom
    assert_equal(
        run("conv", x=x, weight=weight, bias=bias, pad_type="custom", pad=[1, 0, 2, 1], strides=[2, 1], groups=2),
        F.conv2d(padded, weight, bias, (2, 1), groups=2),
    )
    assert_equal(
        run("conv", x=x, weight=normal(1, 4, 1, 1) * 0, pad=[9, 9, 9, 9], pad_type="valid"), normal(2, 1, 6, 7) * 0
    )
    for stride, padding, extra in ((2, 1, 1), (2, 1, 0), (3, 2, 0)):
        module = nn.ConvTranspose2d(4, 6, 4, stride, padding, output_padding=extra, groups=2).double()
        expected = module(x)
        given = {"x": x, "weight": module.weight, "bias": module.bias, "strides": [stride] * 2, "groups": 2}
        pad = [padding] * 4
        shape = {"output_shape": list(expected.shape)}
        assert_equal(run("conv_transpose", **given, **shape, pad_type="custom", pad=pad), expected)
        if not extra:
            assert_equal(run("conv_transpose", **given, pad_type="custom", pad=pad), expected)


def test_pools():
    x = normal(2, 3, 6, 7)
    given = {"x": x, "kernel_sizes": [3, 5], "strides": [1, 2], "pad_type": "custom", "pad": [1, 1, 2, 2]}
    for excluded in (True, False):
        module = nn.AvgPool2d((3, 5), (1, 2), (1, 2), count_include_pad=not excluded)
        assert_equal(run("avg_pool", **given, exclude_padding_from_average=excluded), module(x))
    assert_equal(run("max_pool", **given), nn.MaxPool2d((3, 5), (1, 2), (1, 2))(x))
    with pytest.raises(PackageError, match="ceil_mode is true"):
        run("max_pool", **given, ceil_mode=True)
    with pytest.raises(PackageError, match="its pad_type is 'same'; understood is valid, custom"):
        run("max_pool", **given | {"pad_type": "same"})


def test_activations():
    x = normal(3, 50)
    assert_equal(run("gelu", x=x, mode="EXACT"), F.gelu(x))
    hardswish = run("thresholded_relu", x=x * 4, alpha=-3.0) * run("sigmoid_hard", x=x * 4, alpha=1 / 6, beta=0.5)
    assert torch.allclose(hardswish, F.hardswish(x * 4), atol=1e-6)
    with pytest.raises(PackageError, match="its mode is 'TANH_APPROXIMATION'"):
        run("gelu", x=x, mode="TANH_APPROXIMATION")


def test_norms():
    x, scale, shift = normal(2, 4, 5, 6), normal(4), normal(4)
    assert_equal(
        run(
            "batch_norm",
            x=x,
            mean=shift,
            variance=scale.square(),
            gamma=scale,
            beta=shift,
            epsilon=torch.tensor(0.1).double(),
        ),
        F.batch_norm(x, shift, scale.square(), scale, shift, eps=float(torch.tensor(0.1))),
    )
    eps = float(torch.tensor(1e-3))
    normed = F.layer_norm(x.permute(0, 2, 3, 1), (4,), scale, shift, eps).permute(0, 3, 1, 2)
    assert_equal(run("layer_norm", x=x, axes=[1], gamma=scale, beta=shift, epsilon=1e-3), normed)
    assert_equal(run("layer_norm", x=x, axes=[-1, 1], epsilon=1e-3).mean((1, 3)), torch.zeros(2, 5).double())
    assert_equal(run("softmax", x=x, axis=1).sum(1), torch.ones(2, 5, 6).double())
    assert_equal(run("reduce_mean", x=x, axes=[2, 3], keep_dims=True), x.mean((2, 3), keepdim=True))


def test_products():
    x, y, v = normal(2, 3, 4, 5), normal(2, 3, 6, 5), normal(2, 3, 6, 7)
    assert_equal(run("matmul", x=x, y=y, transpose_y=True), torch.einsum("abij,abkj->abik", x, y))
    assert_equal(run("matmul", x=y, y=x.mT, transpose_x=False), torch.einsum("abij,abkj->abik", y, x))
    assert_equal(run("matmul", x=x.mT, y=y.mT, transpose_x=True), torch.einsum("abij,abkj->abik", x, y))
    assert_equal(run("scaled_dot_product_attention", query=x, key=y, value=v), F.scaled_dot_product_attention(x, y, v))
    with pytest.raises(PackageError, match="attn_mask is not understood"):
        run("scaled_dot_product_attention", query=x, key=y, value=v, attn_mask=x)


def test_shapes():
    x = normal(2, 1, 4, 6)
    array = x.numpy()
    assert_equal(run("reshape", x=x, shape=[0, 4, -1]), x.reshape(2, 4, 6))
    assert_equal(run("transpose", x=x, perm=[2, 0, 3, 1]), x.permute(2, 0, 3, 1))
    assert run("expand_dims", x=x, axes=[0, -1]).shape == (1, 2, 1, 4, 6, 1)
    assert run("squeeze", x=x, axes=[-3]).shape == (2, 4, 6)
    assert run("squeeze", x=x).shape == (2, 4, 6)
    assert_equal(
        run("pad", x=x, pad=[1, 0, 2, 3], mode="constant", constant_val=7.0), F.pad(x, (2, 3, 1, 0), value=7.0)
    )
    sliced = run(
        "slice_by_index",
        x=x,
        begin=[1, 0, 9, 1],
        end=[0, 9, 3, -1],
        stride=[1, 1, 2, 2],
        begin_mask=[False, False, True, False],
        end_mask=[False, True, False, False],
        squeeze_mask=[True, False, False, False],
    )
    assert np.array_equal(sliced.numpy(), array[1, 0:, :3:2, 1:-1:2])
    parts_of_x = run("split", x=x, split_sizes=[1, 3], axis=2)
    assert [tuple(part.shape) for part in parts_of_x] == [(2, 1, 1, 6), (2, 1, 3, 6)]
    assert_equal(
        run("upsample_nearest_neighbor", x=x, scale_factor_height=2, scale_factor_width=3),
        nn.Upsample(scale_factor=(2, 3))(x),
    )
    assert_equal(
        run("upsample_bilinear", x=x, scale_factor_height=2.0, scale_factor_width=2.0, align_corners=False),
        nn.Upsample(scale_factor=2, mode="bilinear")(x),
    )
    with pytest.raises(PackageError, match="are no whole numbers"):
        run("upsample_bilinear", x=x, scale_factor_height=1.5)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    module, shape = part("attention_ffn")
    assert shape == SHAPE
    path = tmp_path_factory.mktemp("program") / "good.mlpackage"
    export_coreml(fuse_part(module), shape, path)
    return path


@pytest.fixture
def changed(package, tmp_path):
    """The package with a change to its operations, of which constants are left out."""

    def change(edit):
        path = shutil.copytree(package, tmp_path / "bad.mlpackage")
        model = read_model(path)
        block = model.mlProgram.functions["main"].block_specializations["CoreML7"]
        edit([operation for operation in block.operations if operation.type != "const"])
        model_file(path).write_bytes(model.SerializeToString())
        return path

    return change


def error_of(path, inputs=None):
    with pytest.raises(PackageError) as error:
        run_package(path, {"x": torch.zeros(SHAPE)} if inputs is None else inputs)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_unknown_operation(changed):
    def edit(operations):
        operations[4].type = "fft"

    said = error_of(changed(edit))
    assert "bad.mlpackage: operation 5 of " in said
    assert "'fft -> " in said
    assert "'fft' is unknown; known are add, avg_pool, batch_norm, " in said


def test_wrong_shape(changed):
    def edit(operations):
        operations[2].outputs[0].type.tensorType.dimensions[1].constant.size = 99

    assert "operation 3 of" in (said := error_of(changed(edit)))
    assert "where the program declares [(1, 99, " in said


def test_missing_input_of_an_operation(changed):
    def edit(operations):
        del operations[0].inputs["weight"]

    assert "operation 1 of" in (said := error_of(changed(edit)))
    assert "it has 0 values as its weight, not one" in said


def test_name_of_nothing(changed):
    def edit(operations):
        operations[3].inputs["x"].arguments[0].name = "nobody"

    assert "nothing before it is called 'nobody'" in error_of(changed(edit))


def test_weights_elsewhere(changed):
    def edit(operations):
        weight = operations[0].inputs["weight"].arguments[0]
        weight.value.blobFileValue.fileName = "@model_path/../../../../etc/passwd"
        weight.value.type.tensorType.dataType = 10

    assert "its weights lie outside of it" in error_of(changed(edit))


def test_inputs(package):
    assert "the input 'x' is missing: known are image" in error_of(package, {"image": torch.zeros(SHAPE)})
    assert "the input 'x' is (1, 3, 4, 4), not (1, 12, 6, 8)" in error_of(package, {"x": torch.zeros(1, 3, 4, 4)})


def test_no_package(package, tmp_path):
    assert "there is no such package" in error_of(tmp_path / "none.mlpackage")
    (tmp_path / "empty.mlpackage").mkdir()
    assert "is no Core ML package: it has no Manifest.json" in error_of(tmp_path / "empty.mlpackage")
    outside = shutil.copytree(package, tmp_path / "outside.mlpackage")
    manifest = outside / "Manifest.json"
    manifest.write_text(manifest.read_text().replace("com.apple.CoreML/model.mlmodel", "../../good.txt"))
    (tmp_path / "good.txt").write_bytes(model_file(package).read_bytes())
    assert "the model that its Manifest.json names is missing" in error_of(outside)


def test_damage_is_found_or_harmless(package, tmp_path):
    """Cut off anywhere, or with other bytes somewhere: an error in one line, or numbers."""
    path = tmp_path / "bad.mlpackage"
    errors = []
    for seed in range(150):
        r = random.Random(seed)
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(package, path)
        file = r.choice([file for file in path.rglob("*") if file.is_file()])
        content = bytearray(file.read_bytes())
        if seed % 3:
            content[r.randrange(len(content))] = r.randrange(256)
        else:
            del content[r.randrange(len(content)) :]
        file.write_bytes(bytes(content))
        try:
            run_package(path, {"x": torch.zeros(SHAPE)})
        except PackageError as error:
            errors.append(str(error))
    assert len(errors) > 75
    assert not any("\n" in error for error in errors)


def test_rounding(package):
    """Not rounded, the results are those of the fp16 weights in exact numbers; rounded, each is one that fp16 has."""
    program = read_program(package)
    assert program.has_half
    x = torch.randn(SHAPE)
    (exact,), (rounded,) = (run_program(program, {"x": x}, rounded=way).values() for way in (False, True))
    assert not torch.equal(exact, exact.half().float())
    assert torch.equal(rounded, rounded.half().float())
    assert 0 < (exact - rounded).abs().max() < 0.01 * exact.abs().max()
    assert torch.equal(next(iter(run_package(package, {"x": x.half()}).values())), exact), "inputs are fp16 already"
