"""The tutorial of own blocks from start to end, with its own code; mistakes in such a file, each as one sentence."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import try_block
from supernet import SpecError, load_spec, own_blocks, parse_spec
from supernet.__main__ import main
from supernet.blocks import BLOCKS
from supernet.families import FAMILIES
from supernet.space.choices import DIMENSION_OF

ROOT = Path(__file__).parents[1]
MANUAL = (ROOT / "docs" / "your_block.md").read_text()
FILES = dict(re.findall(r"`(\w+\.(?:py|yaml))`:\n\n```\w+\n(.*?)```", MANUAL, re.DOTALL))
LINES = [line for block in re.findall(r"```sh\n(.*?)```", MANUAL, re.DOTALL) for line in block.splitlines()]
QUICK = "--set schedule.epochs=1 --set schedule.warmup_epochs=0 --set evaluate.calibration_images=64"
SMALLER = {
    "train_supernet.py": QUICK,
    "latency_lut plan": "--networks 4",
    "latency_lut measure": "--protocol rounds=1 --protocol burst_ms=1",
    "search.py": "--set evaluations=12 --set method.population=6 --set accuracy.calibration_images=64",
    "retrain.py": QUICK,
}
"""What is added to a command of the manual, so that it takes seconds."""

DRIVER = '''\
"""Runs commands in this one process, as `python` would; then a network travels to a process that starts elsewhere."""

import multiprocessing
import os
import runpy
import sys


def run(root, words):
    sys.argv = words
    try:
        if words[0] == "-m":
            sys.argv = words[1:]
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(os.path.join(root, words[0]), run_name="__main__")
    except SystemExit as end:
        return end.code
    return 0


if __name__ == "__main__":
    import json

    commands, root = json.loads(sys.argv[1]), sys.argv[2]
    for words in commands:
        print("RUN", *words, flush=True)
        if (code := run(root, words)) != 0:
            sys.exit(f"{words} ended with {code}")
    import supernet

    spec = supernet.load_spec("star.yaml")
    os.chdir("/")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(supernet.count, (spec,)) == supernet.count(spec)
        assert pool.apply(supernet.parse_spec, (supernet.format_spec(spec),)) == spec
'''


@pytest.mark.slow
def test_tutorial(tmp_path):
    assert set(FILES) == {"my_block.py", "star.yaml", "stars.yaml"}
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / "drive.py").write_text(DRIVER)
    (export,) = [line for line in LINES if line.startswith("export ")]
    name, value = export.split()[1].split("=")
    commands = [smaller(line) for line in LINES if line != export]
    assert [line.split()[0] for line in LINES if line != export] == ["python"] * len(commands)
    done = subprocess.run(
        [sys.executable, "drive.py", json.dumps(commands), str(ROOT)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", name: value},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    tried = done.stdout.split("RUN")[1]
    assert re.findall(r"^(\S.*?) +ok$", tried, re.MULTILINE) == list(try_block.CHECKS)
    assert "star: StarNet (2024)" in done.stdout
    assert "star.mlpackage computes the same as its source" in done.stdout
    assert "[1/7] supernet: trains a supernet of the space stars: to do" in done.stdout
    assert (tmp_path / "searches/stars/best.yaml").read_text().count("kind: star") > 1


def smaller(line):
    words = line.split("#")[0]
    return shlex.split(f"{words} {next((more for name, more in SMALLER.items() if name in words), '')}")[1:]


def test_links_and_length():
    assert len(MANUAL.splitlines()) <= 185
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", MANUAL):
        assert target.startswith("http") or (ROOT / "docs" / target).exists(), target
    for name in try_block.CHECKS:
        assert f"`{name}`" in MANUAL, name


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Loads a file with this text; what it registers is gone afterwards."""
    known = [(registry, dict(registry)) for registry in (BLOCKS, FAMILIES, DIMENSION_OF, sys.modules)]
    path = tmp_path / "mine.py"

    def load_it(text):
        path.write_text(text)
        own_blocks.load(path)

    yield load_it
    for registry, before in known:
        for name in set(registry) - set(before):
            del registry[name]
        registry.update(before)


def changed(*changes):
    text = FILES["my_block.py"]
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def test_a_kind_and_a_family(load):
    with pytest.raises(
        SpecError, match=r"'star' is unknown, known are .*; your own come from the files that SLIMFORMER_BL"
    ):
        parse_spec(FILES["star.yaml"])
    load(FILES["my_block.py"])
    spec = parse_spec(FILES["star.yaml"])
    assert type(spec.stages[0].blocks[0]) is BLOCKS["star"]
    assert "star" in FAMILIES["hybrid"].blocks
    assert spec.with_(family="hybrid")


FIELD = ("    expand: Expand\n", "    expand: Expand\n    ratio: Expand = 1.0\n")
ELASTIC = ('("kernel", "expand")', '("kernel", "expand", "ratio")')


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            [("supernet.options", "supernet.option")],
            ", line 11: ModuleNotFoundError: No module named 'supernet.option'",
        ),
        ([("class Star(nn.ModuleDict):", "class Star(nn.ModuleDict)")], ", line 15: SyntaxError: expected ':'"),
        ([('"star", frozen', '"conv", frozen')], "StarBlock: the kind 'conv' is taken, by DepthwiseBlock in supernet."),
        (
            [('tag="star", ', "")],
            "'StarBlock' is not of small letters, digits and _, from a letter on: give tag=\"starb",
        ),
        ([("def cost(", "def costs(")], "StarBlock: has no method 'cost', which every kind of block must have"),
        ([("    expand: Expand", "    count: Expand")], "no field can be called 'count', which has a meaning in every"),
        ([ELASTIC], "StarBlock.elastic: 'ratio' is no field of this kind, "),
        ([FIELD, ELASTIC], "StarBlock.elastic: 'ratio' has the dimension None: give dimensions = {'ratio': ...}, with"),
        ([('("star",)', '("stra",)')], "family 'starnet': blocks: 'stra' is unknown, did you mean 'star'?"),
        ([('("star",)', '"star"')], "family 'starnet': blocks: 'star' is unknown"),
        ([('"starnet"', '"iformer"')], "register_family: the family 'iformer' is taken: iFormer (2025)"),
        ([("(Block, tag", "(nn.Module, tag")], "takes no keyword arguments"),
    ],
)
def test_mistakes_in_the_file(load, changes, expected):
    with pytest.raises(SpecError) as raised:
        load(changed(*changes))
    said = str(raised.value)
    assert expected in said
    assert re.match(r"SLIMFORMER_BLOCKS: /\S+/mine.py, line \d+: ", said)
    assert "\n" not in said


def test_a_field_with_another_dimension(load):
    load(
        changed(
            FIELD,
            ELASTIC,
            ("    kernel: Kernel", '    dimensions: ClassVar = {"ratio": "expand"}\n\n    kernel: Kernel'),
        )
    )
    assert DIMENSION_OF["ratio"] == "expand"


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("no_such.py", "no_such.py: there is no such file"),
        ("my-block.py", "my-block.py: is no name of a Python file, such as my_block.py"),
        ("block.txt", "block.txt: is no name of a Python file, such as my_block.py"),
        ("broken.py", "broken.py, line 1: ZeroDivisionError: division by zero"),
    ],
)
def test_commands_and_readers_say_what_was_not_loaded(named, expected, tmp_path, monkeypatch, capsys):
    (tmp_path / "broken.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(own_blocks, "_failures", [])
    monkeypatch.setenv("SLIMFORMER_BLOCKS", named)
    own_blocks.load_named()
    assert os.environ["SLIMFORMER_BLOCKS"] == str(tmp_path / named), "processes may start in another folder"
    assert main(["list"]) == 2
    assert capsys.readouterr().err == f"error: SLIMFORMER_BLOCKS: {tmp_path}/{expected}\n"
    with pytest.raises(SpecError, match=re.escape(expected)):
        load_spec("iformer_t")


RETURN = "return self.last(self.narrow(F.gelu(self.gate(x)) * self.value(x)))"
COST = "return conv_chain_cost(self.convs(width), size)"
BY_SIZE = (
    ("        return branches", "        star.area = size[0] * size[1]\n        return branches"),
    (RETURN, f"{RETURN} / self.area"),
)


@pytest.mark.parametrize(
    ("changes", "check", "expected"),
    [
        ([(COST, f"{COST} + Cost(params=1)")], "parameters", "says 1,969 parameters, its module has 1,968"),
        ([(COST, f"{COST} + Cost(macs=-1)")], "MACs", r"says \S+ MACs, its module has"),
        ([(RETURN, f"{RETURN}[:, 1:]")], "built", "RuntimeError: The size of tensor a"),
        (
            [(RETURN, "return self.tail(x)")],
            "built",
            "mine.py, line 18: AttributeError: 'Star' object has no attribute 't",
        ),
        ([(RETURN, f"self.n = 1 + getattr(self, 'n', 0)\n        {RETURN} / self.n")], "built", "keeps no state"),
        (BY_SIZE, "other sizes", "does not take maps of 9x9: say fixed_size = True"),
        ([("self.gate(x)", "self.value(x)")], "slices", "gate.conv.weight gets no gradient"),
        (
            [('        "star.body.mix": ("width",),\n', "")],
            "slices",
            "StarBlock.axes: there are none of its submodule 'sta",
        ),
        ([('gate": ("hidden", ', 'gate": ("gate", ')], "axes", "channels in another order change the result"),
    ],
)
def test_what_the_checker_finds(load, changes, check, expected, monkeypatch, capsys):
    first = next(row for row in tried(load, changed(*changes), monkeypatch, capsys) if " WRONG " in row)
    assert re.match(rf"{check} +WRONG +.*{expected}", first), first


def test_the_mistake_in_the_manual(load, monkeypatch, capsys):
    forgotten = (
        f'convs = self.convs(width)\n        convs.pop("last")\n        {COST.replace("self.convs(width)", "convs")}'
    )
    wrong = [row for row in tried(load, changed((COST, forgotten)), monkeypatch, capsys) if " WRONG " in row]
    assert len(wrong) == 2
    assert wrong[0] in MANUAL.splitlines()


def tried(load, text, monkeypatch, capsys):
    for name in ("ONNX", "Core ML"):
        monkeypatch.delitem(try_block.CHECKS, name)
    load(text)
    assert try_block.main(["{kind: star, kernel: 3, expand: [2, 4]}", "--widths", "16"]) == 1
    return capsys.readouterr().out.splitlines()[1:]


def test_a_kind_of_ours_with_position_tables(monkeypatch, capsys):
    for name in ("ONNX", "Core ML"):
        monkeypatch.delitem(try_block.CHECKS, name)
    entry = "{kind: token_attention, heads: [1, 2], key_width: 4, value_width: 4, expand: 2}"
    assert try_block.main([entry, "--widths", "16"]) == 0, capsys.readouterr().out


def test_entries_that_cannot_be_tried(capsys):
    assert try_block.main(["{kind: conv, kernel: 4, expand: 2}"]) == 2
    assert try_block.main(["{kind: conv, kernel: 3, expand: 2}", "--sizes", "7"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "error: stages[0].blocks[0].kernel: 4 is not an odd number from 1 to 31",
        "error: --sizes: 7 is not a number from 8 on",
    ]
