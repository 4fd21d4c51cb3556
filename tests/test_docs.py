"""The manual says what the code does: its commands and programs run, its tables name every part and field."""

import re
from pathlib import Path

import pytest

from supernet import load_space, parse_space, parse_spec, published_names
from supernet.__main__ import main
from supernet.drawing import draw
from supernet.families import FAMILIES
from supernet.reading import KINDS, load_spec
from supernet.space.choices import DIMENSIONS, Open
from supernet.space.drawing import draw_space

ROOT = Path(__file__).parent.parent
MANUALS = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/networks.md",
    "docs/spaces.md",
    "docs/results.md",
    "docs/training.md",
    "docs/latency.md",
    "docs/search.md",
    "docs/retraining.md",
    "docs/shipping.md",
)


def fenced(manual, language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / manual).read_text(), re.DOTALL)


@pytest.mark.parametrize("manual", MANUALS)
def test_programs(manual, tmp_path, monkeypatch, capsys):
    """They run, and print what the comment beside each print says."""
    monkeypatch.chdir(tmp_path)
    for program in fenced(manual, "python"):
        exec(compile(program, manual, "exec"), {})  # noqa: S102  our own manual
        printed = capsys.readouterr().out
        for said in re.findall(r"^print\([^#]*#\s*(.*)$", program, re.MULTILINE):
            assert all(part in printed for part in said.split(", and ")), said


def test_commands(tmp_path, monkeypatch, capsys):
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    commands = [line for block in fenced("README.md", "sh") for line in block.splitlines() if "-m supernet" in line]
    assert len(commands) == 6
    for command in commands:
        assert main(command.split("#")[0].split()[3:]) == 0
    assert "8.907 M parameters" in capsys.readouterr().out


def test_spec_in_the_readme():
    for text in fenced("README.md", "yaml"):
        assert parse_spec(text).family == "efficientformerv2"


def test_picture_is_current():
    assert (ROOT / "docs/iformer_m.svg").read_text() == draw("iformer_m", load_spec("iformer_m"))


def test_every_part_and_field_is_described():
    text = (ROOT / "docs/networks.md").read_text()
    for kinds in KINDS.values():
        for name, kind in kinds.items():
            rows = [line for line in text.splitlines() if line.startswith(f"| `{name}` |")]
            fields = kind.__struct_fields__
            assert any(all(f"`{field}`" in row for field in fields) for row in rows), f"{name}: {fields}"


def test_what_can_be_elastic_is_described():
    """The table of spaces.md is what the kinds say of themselves."""
    text = (ROOT / "docs/spaces.md").read_text()
    told = [line for line in text.splitlines() if re.match(r"\| (stem|downsample|block|head) \|", line)]
    expected = []
    for part, kinds in KINDS.items():
        for name, kind in kinds.items():
            fields = ", ".join(f"`{field}`" for field in kind.elastic) or "nothing"
            expected.append(f"| {part.__name__.lower()} | `{name}` | {fields} |")
            for field in kind.elastic:
                dimension = Open(field, (1, 2)).dimension
                rows = [line for line in text.splitlines() if line.startswith(f"| `{dimension}` |")]
                assert any(f"`{field}`" in row for row in rows), field
    assert told == expected
    assert all(f"| `{dimension}` |" in text for dimension in DIMENSIONS)


def test_spaces_in_the_manual():
    spaces = [parse_space(text) for text in fenced("docs/spaces.md", "yaml")]
    assert [space.family for space in spaces] == ["efficientformerv2"]
    assert (ROOT / "docs/space_iformer.svg").read_text() == draw_space("iformer", load_space("iformer"))


def test_every_family_is_named():
    text = (ROOT / "README.md").read_text()
    for name, family in FAMILIES.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}`"))
        assert name == "hybrid" or all(f"`{kind}`" in row for kind in family.blocks)
    assert len(published_names()) == 30


@pytest.mark.parametrize("manual", MANUALS)
def test_links(manual):
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / manual).read_text()):
        assert target.startswith("http") or (ROOT / manual).parent.joinpath(target).exists(), target
