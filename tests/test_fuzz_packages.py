"""1,000 damaged files of each kind that `deploy verify` opens."""

import json
import shutil

import pytest
import torch
from mutations import MUTATIONS, damaged_bytes, damaged_json, survives
from test_fuzz_runs import rezipped
from torch import nn

from deploy import DeployError, export_coreml, export_onnx, export_torch, export_torchscript
from deploy.coreml_program import read_program, run_program
from deploy.opening import open_onnx, open_torch, open_torchscript
from deploy.packages import read_model

SHAPE = (1, 3, 8, 8)


class Small(nn.Module):
    """An operation of every kind of argument; a weight that is large enough to lie in a file of its own."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.LayerNorm(8)
        self.linear = nn.Linear(8, 4)

    def forward(self, x):
        x = torch.nn.functional.gelu(self.conv(x))
        return self.linear(self.norm(x.mean((2, 3)))).softmax(-1)


@pytest.fixture(scope="module")
def small():
    return Small().eval()


@pytest.fixture(scope="module")
def package(small, tmp_path_factory):
    path = tmp_path_factory.mktemp("package") / "small.mlpackage"
    export_coreml(small, SHAPE, path)
    return path


def messages(message):
    """All messages in a message of protobuf."""
    yield message
    for field, value in message.ListFields():
        if field.type != field.TYPE_MESSAGE:
            continue
        if field.message_type.GetOptions().map_entry:
            inner = [one for one in value.values() if hasattr(one, "ListFields")]
        else:
            inner = list(value) if hasattr(value, "append") or hasattr(value, "add") else [value]
        for one in inner:
            yield from messages(one)


def damage_message(message, draw):
    """Another value of the right type in one field, or none."""
    chosen = draw.choice([one for one in messages(message) if one.ListFields()])
    field, value = draw.choice(chosen.ListFields())
    plain = isinstance(value, int | float | str | bytes)
    if not plain or draw.random() < 0.2:
        chosen.ClearField(field.name)
    elif isinstance(value, str):
        setattr(chosen, field.name, draw.choice(("", "x", "../../x", "@model_path/../../x", value + "0", "main")))
    elif isinstance(value, bytes):
        setattr(chosen, field.name, damaged_bytes(value, draw))
    elif isinstance(value, int):
        try:
            setattr(chosen, field.name, draw.choice((0, 1, -1, 3, 2**20, 2**31 - 1, 2**40, 2**62, 2**63 - 1, 65)))
        except ValueError:  # not of this field
            setattr(chosen, field.name, 1)
    else:
        setattr(chosen, field.name, draw.choice((0.0, -1.0, 1e30, float("nan"), float("inf"))))


@pytest.mark.slow
def test_damaged_packages_of_core_ml(tmp_path, package):
    path = tmp_path / "damaged.mlpackage"
    shutil.copytree(package, path)
    files = [file for file in path.rglob("*") if file.is_file()]
    wholes = {file: file.read_bytes() for file in files}
    model_file = next(file for file in files if file.suffix == ".mlmodel")
    model = read_model(path)

    def make(draw):
        for file, whole in wholes.items():
            file.write_bytes(whole)
        if draw.random() < 0.5:
            damaged = type(model)()
            damaged.CopyFrom(model)
            for _ in range(draw.randint(1, 3)):
                damage_message(damaged, draw)
            model_file.write_bytes(damaged.SerializeToString())
        else:
            file = draw.choice(files)
            if file.suffix == ".json" and draw.random() < 0.7:
                file.write_bytes(damaged_json(json.loads(wholes[file]), draw))
            else:
                file.write_bytes(damaged_bytes(wholes[file], draw))
        return path

    def read(path):
        program = read_program(path)
        run_program(program, dict.fromkeys(program.inputs, torch.zeros(SHAPE)), rounded=True)
        assert isinstance(program.classes, tuple)

    survives(read, make, DeployError).check()


def fuzz_file(tmp_path, small, export, open_file, suffix, in_archive, mutations=MUTATIONS):
    path = tmp_path / f"small{suffix}"
    export(small, SHAPE, path)
    whole = path.read_bytes()

    def make(draw):
        is_inside = in_archive and draw.random() < 0.7
        path.write_bytes(rezipped(whole, draw) if is_inside else damaged_bytes(whole, draw))
        return path

    def read(path):
        open_file(path).run(torch.zeros(SHAPE))

    return survives(read, make, DeployError, mutations)


@pytest.mark.slow
def test_damaged_onnx(tmp_path, small):
    fuzz_file(tmp_path, small, export_onnx, open_onnx, ".onnx", in_archive=False).check()


@pytest.mark.slow
def test_damaged_torchscript(tmp_path, small):
    fuzz_file(tmp_path, small, export_torchscript, open_torchscript, ".pt", in_archive=True).check()


@pytest.mark.slow
def test_damaged_programs_of_torch(tmp_path, small):
    """Few, as torch.export takes its time to open one."""
    fuzz_file(tmp_path, small, export_torch, open_torch, ".pt2", in_archive=True, mutations=150).check(least=2)
