"""The manual says what the code does: its commands and programs run, its tables name every part and field."""

import re

import pytest

from supernet import load_space, parse_space, parse_spec, published_names
from supernet.drawing import draw
from supernet.families import FAMILIES
from supernet.reading import KINDS, load_spec
from supernet.space.choices import DIMENSIONS, Open
from supernet.space.drawing import draw_space
from tests.manual_pages import ELSEWHERE, PAGES, ROOT, anchors, fenced, links, text_of


@pytest.mark.parametrize("manual", [page for page in PAGES if page not in ELSEWHERE])
def test_programs(manual, tmp_path, monkeypatch, capsys):
    """They run, and print what the comment beside each print says."""
    monkeypatch.chdir(tmp_path)
    for program in fenced(manual, "python"):
        exec(compile(program, manual, "exec"), {})  # noqa: S102  our own manual
        printed = capsys.readouterr().out
        for said in re.findall(r"^print\([^#]*#\s*(.*)$", program, re.MULTILINE):
            assert all(part in printed for part in said.split(", and ")), said


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


@pytest.mark.parametrize("page", PAGES)
def test_links(page):
    """To a file that is there, and to one of its headings."""
    for link in links(page):
        target, _, anchor = link.partition("#")
        if target.startswith(("http://", "https://")):
            continue
        file = ((ROOT / page).parent / target if target else ROOT / page).resolve()
        assert file.exists(), f"{page}: {link}"
        assert not anchor or anchor in anchors(file.relative_to(ROOT)), f"{page}: {link}"


def test_anchors():
    assert {"what-a-runs-folder-holds", "all-options", "the-run"} <= anchors("docs/training.md")
    assert "devices" in anchors("docs/pipeline.md")


def test_every_page_is_linked_from_the_readme():
    assert set(PAGES) - {"README.md"} <= set(links("README.md"))


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_are_there(page):
    for name in re.findall(r"\b(?:tests|bench|configs)/[\w/]+\.(?:py|yaml|txt)", text_of(page)):
        assert (ROOT / name).exists(), name
