"""What a foreign file or name must never bring about: code that runs, a file elsewhere, a computer that is full."""

import ast
import gzip
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch
from phone_jobs import make_job
from torch import nn

from deploy import DeployError, export_torch, export_torchscript
from deploy.opening import open_torch, open_torchscript
from deploy.torch_files import FILE_OPERATORS
from latency_lut.phone.archive import unpack_job, unpack_results
from latency_lut.phone.job import is_inside
from latency_lut.protocol import Protocol
from latency_lut.table.store import Store
from supernet import SpecError, load_spec
from supernet.drawing import draw
from supernet.plain_yaml import parse_yaml
from supernet.weights.files import WeightsError, read_state
from training.checkpoint import CheckpointError, load_checkpoint
from training.checkpoint_file import write_state

ROOT = Path(__file__).parents[1]
PACKAGES = ("supernet", "training", "deploy", "latency_lut", "search", "retraining", "pipeline")
SOURCES = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))] + sorted(ROOT.glob("*.py"))

# Ray and torch.distributed pickle what processes of one run send each other. Optuna keeps JSON in SQL tables.
MODULES = {"joblib", "shelve", "marshal", "dill", "cloudpickle", "xml", "xmlrpc", "plistlib", "lxml", "pty", "commands"}
CALLS = {
    *(
        "eval",
        "exec",
        "compile",
        "__import__",
        "pickle.load",
        "pickle.loads",
        "pickle.Unpickler",
        "os.system",
        "os.popen",
    ),
    *(
        "yaml.full_load",
        "yaml.unsafe_load",
        "yaml.load_all",
        "shutil.unpack_archive",
        "tempfile.mktemp",
        "torch.hub.load",
    ),
    *("subprocess.getoutput", "subprocess.getstatusoutput", "asyncio.create_subprocess_shell", "torch.package"),
}
ATTRIBUTES = {"extractall", "execv", "execvp", "execl", "spawnl", "spawnv"}
"""Of whatever object."""
ONLY_IN = {
    "torch.jit.load": "deploy/opening.py",
    "torch.export.load": "deploy/opening.py",
    "torch.load": ("supernet/weights/files.py", "training/checkpoint_file.py"),
    "yaml.load": "supernet/plain_yaml.py",
    "importlib.import_module": "search/accuracy.py",  # a user's own function, named in a user's own config
    "importlib.util.spec_from_file_location": "supernet/own_blocks.py",  # a user's own files, named in the environment
}
OWN_TEXTS = {"VERSION", "KEY", "alike"}
"""Constants of ours in statements of SQL."""


def called(node):
    """Such as `torch.load`; `?.load` for a method of what another call gives."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join(reversed([*parts, node.id if isinstance(node, ast.Name) else "?"]))


def findings(file, text):
    place = file.relative_to(ROOT).as_posix()
    for node in ast.walk(ast.parse(text)):
        here = f"{place}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
            yield from (f"{here} imports {name}" for name in names if name.split(".")[0] in MODULES)
        if not isinstance(node, ast.Call):
            continue
        name, options = called(node.func), {one.arg: one.value for one in node.keywords}
        if name in CALLS or (isinstance(node.func, ast.Attribute) and node.func.attr in ATTRIBUTES):
            yield f"{here} calls {name}"
        if name in ONLY_IN and place not in ONLY_IN[name]:
            yield f"{here} calls {name}"
        if name == "torch.load" and ast.unparse(options.get("weights_only", ast.Constant(None))) != "True":
            yield f"{here} unpickles"
        if ast.unparse(options.get("allow_pickle", ast.Constant(False))) != "False":
            yield f"{here} allows pickles"
        if ast.unparse(options.get("shell", ast.Constant(False))) != "False":
            yield f"{here} starts a shell"
        if name.rpartition(".")[2] in ("execute", "executemany", "executescript") and node.args:
            inside = [one for one in ast.walk(node.args[0]) if isinstance(one, ast.FormattedValue | ast.BinOp)]
            texts = {ast.unparse(one.value) for one in inside if isinstance(one, ast.FormattedValue)}
            if texts - OWN_TEXTS or any(isinstance(one, ast.BinOp) for one in inside):
                yield f"{here} puts {', '.join(texts)} into SQL"


def test_no_call_runs_what_a_file_says():
    assert len(SOURCES) > 200
    assert [found for file in SOURCES for found in findings(file, file.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    "line",
    [
        "import joblib",
        "from xml.etree import ElementTree",
        "eval(text)",
        "pickle.loads(content)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text, Loader=yaml.Loader)",
        "subprocess.run(command, shell=True)",
        "os.system(command)",
        "archive.extractall(folder)",
        "connection.execute(f'SELECT * FROM {name}')",
        "connection.execute('SELECT * FROM ' + name)",
    ],
)
def test_such_calls_would_be_found(line):
    assert list(findings(ROOT / "supernet/any.py", line))


class Trap:
    def __reduce__(self):
        return os.mkdir, ("sprung",)


@pytest.fixture(autouse=True)
def _nothing_springs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / "sprung").exists()


def test_checkpoints_are_not_unpickled(tmp_path):
    torch.save({"state_dict": {"w": torch.ones(2)}, "trap": Trap()}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="holds more than tensors"):
        read_state(tmp_path / "w.pth")
    write_state(tmp_path / "step_00000001.pt", {"net": {}, "trap": Trap()}, 1, None, {})
    with pytest.raises(CheckpointError, match="can't read it"):
        load_checkpoint(tmp_path / "step_00000001.pt")


def test_a_long_name_in_a_pickle_costs_no_time(tmp_path):
    """PyTorch would search it in the square of its length."""
    (tmp_path / "w.pth").write_bytes(b"\x80\x02c" + b"x" * 1_000_000 + b"\nx\n.")
    with pytest.raises(WeightsError, match="a name in it has 1,000,002 letters"):
        read_state(tmp_path / "w.pth")


def test_archives_of_weights_that_are_bombs(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/data.pkl", bytes(50_000_000))
    with pytest.raises(WeightsError, match="it would become 50,000,000 bytes"):
        read_state(tmp_path / "w.pth")


def rewritten(path, change):
    """Each file inside becomes what `change` says of its name and content."""
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name.partition("/")[2], old.read(name)))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    export_torch(net, (2, 3, 8, 8), folder / "plain.pt2", dynamic_batch=True)
    export_torchscript(net, (1, 3, 8, 8), folder / "plain.pt")
    return folder


def pickled():
    content = io.BytesIO()
    torch.save(Trap(), content)
    return content.getvalue()


def in_graph(change):
    def changed(name, content):
        if name != "models/model.json":
            return content
        graph = json.loads(content)
        change(graph)
        return json.dumps(graph).encode()

    return changed


def everywhere(value, key, new):
    for name, one in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if name == key:
            value[name] = new
        else:
            everywhere(one, key, new)


TREE = '[1, {"type": "collections.defaultdict", "context": "{}", "children_spec": []}]'
EVIL = "().__class__.__base__.__subclasses__()"
PROGRAMS = {
    "weights": lambda name, content: content.replace(b'"use_pickle": false', b'"use_pickle": true'),
    "inputs": lambda name, content: pickled() if name == "data/sample_inputs/model.pt" else content,
    "sizes": in_graph(lambda graph: everywhere(graph, "expr_str", EVIL)),
    "powers": in_graph(lambda graph: everywhere(graph, "expr_str", "9**9**9**9")),
    "target": in_graph(lambda graph: everywhere(graph, "target", "torch.hub.load")),
    "file": in_graph(lambda graph: everywhere(graph, "target", "torch.ops.aten.from_file.default")),
    "trees": in_graph(lambda graph: everywhere(graph, "in_spec", TREE)),
    "guards": in_graph(lambda graph: graph.update(guards_code=["__import__('os').mkdir('sprung')"])),
    "names": in_graph(lambda graph: everywhere(graph, "name", "x\nimport os; os.mkdir('sprung')")),
}


@pytest.mark.parametrize("what", PROGRAMS)
def test_programs_of_torch_run_no_code(exported, tmp_path, what):
    path = tmp_path / "x.pt2"
    path.write_bytes((exported / "plain.pt2").read_bytes())
    rewritten(path, PROGRAMS[what])
    if what == "inputs":  # they are left out
        assert open_torch(path).run(torch.ones(2, 3, 8, 8))[0].shape == (2, 4, 6, 6)
        return
    with pytest.raises(DeployError, match="could run code"):
        open_torch(path)


def test_programs_with_compiled_code_are_not_opened(exported, tmp_path):
    path = tmp_path / "x.pt2"
    path.write_bytes((exported / "plain.pt2").read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data/aotinductor/model/x.so", b"\x7fELF")
    with pytest.raises(DeployError, match=r"'archive/data/aotinductor/model/x.so' is no part of a network"):
        open_torch(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"torch.relu(", b'torch.from_file("/etc/passwd"); torch.relu('),
        (b"torch.relu(", b"ops.mine.relu("),
        (b"  def forward(", b"  def __setstate__(self, x: int) -> None:\n    pass\n  def forward("),
        (b"torch.relu(", b'ops.aten.save(1, "sprung"); torch.relu('),
    ],
)
def test_torchscript_reads_and_writes_no_file(exported, tmp_path, old, new):
    path = tmp_path / "x.pt"
    path.write_bytes((exported / "plain.pt").read_bytes())
    assert open_torchscript(path).run(torch.ones(1, 3, 8, 8))[0].shape == (1, 4, 6, 6)

    def change(name, content):
        assert not name.endswith(".py") or old in content
        return content.replace(old, new) if name.endswith(".py") else content

    rewritten(path, change)
    with pytest.raises(DeployError, match="could run code"):
        open_torchscript(path)


def test_operators_that_open_files_are_known():
    """A newer PyTorch may have more of them."""
    schemas = [str(schema) for schema in torch._C._jit_get_all_schemas()]
    found = {text.partition("(")[0] for text in schemas if text.startswith("aten::") and "filename" in text}
    assert {name.removeprefix("aten::").partition(".")[0] for name in found} == FILE_OPERATORS


def test_storages_that_are_too_short_are_seen(exported, tmp_path):
    """PyTorch would read beyond their end."""
    path = tmp_path / "x.pt"
    path.write_bytes((exported / "plain.pt").read_bytes())
    rewritten(path, lambda name, content: content[:8] if name == "constants/0" else content)
    with pytest.raises(DeployError, match="has not the bytes of"):
        open_torchscript(path)


def test_yaml_that_is_a_bomb():
    bomb = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    with pytest.raises(SpecError, match="aliases are not allowed"):
        parse_yaml(bomb)
    with pytest.raises(SpecError, match="tags such as !!int are not allowed"):
        parse_yaml("!!python/object/apply:os.mkdir [sprung]")
    with pytest.raises(SpecError, match="more than 30,000 values"):
        parse_yaml("[" + "1," * 400_000 + "]")


def test_archives_that_are_bombs(tmp_path):
    job = make_job(tmp_path)
    zeros = tarfile.TarInfo("results.jsonl")
    zeros.size = 200_000_000
    with gzip.open(tmp_path / "bomb.tgz", "wb") as file:
        file.write(zeros.tobuf())
        for _ in range(200):
            file.write(bytes(1_000_000))
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("results.jsonl", bytes(200_000_000))
    for name in ("bomb.tgz", "bomb.zip"):
        with pytest.raises(SpecError, match="would become 200,000,000 bytes"):
            unpack_results(tmp_path / name, job)
    with pytest.raises(SpecError, match="would become 200,000,000 bytes"):
        unpack_job(tmp_path / "bomb.tgz", tmp_path / "unpacked")
    assert not (tmp_path / "unpacked").exists()


@pytest.mark.parametrize("path", ["", ".", "..", "../x", "/x", "x/../../y", "x\0", "a\\..\\b", "//x", "x/.."])
def test_paths_that_lead_out(path):
    assert not is_inside(path)


def test_words_of_devices_are_no_sql(tmp_path):
    facts = {"device": "x'); DROP TABLE items; --", "model": '"; DELETE FROM items'}
    with Store(tmp_path / "t.sqlite", create=True) as store:
        collection = store.collection(facts, Protocol(), "a '; DROP TABLE items; -- tool")
        assert [one.device for one in store.collections()] == [facts]
        assert store.items(collection) == {}


def test_names_of_networks_draw_no_svg_of_their_own():
    spec = load_spec("iformer_t")
    text = draw("<script>alert(1)</script>", spec)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
