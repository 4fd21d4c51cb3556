"""The commands about spaces, as a user types them."""

import json
import re
import xml.etree.ElementTree as ET

import pytest
from small_spaces import SMALL

from supernet import load_space, space_names
from supernet.__main__ import main
from supernet.space.drawing import draw_space


def test_spaces(capsys):
    assert main(["spaces"]) == 0
    out = capsys.readouterr().out
    assert re.search(
        r"\niformer +iformer +160, 192, 224 +4\.9e\+29 .* 3,062 +iformer_t, iformer_s, iformer_m, iformer_l\n", out
    )
    assert main(["spaces", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["name"] for row in rows] != space_names()  # by family, then from small to large
    assert {row["name"]: row["networks"] for row in rows} == {name: load_space(name).size for name in space_names()}
    v1 = next(row for row in rows if row["name"] == "efficientformer")
    assert v1["published"] == ["efficientformer_l1", "efficientformer_l3"]


@pytest.mark.parametrize("name", ["iformer", "inception", "lowformer", "efficientformer", "tiny"])
def test_space(name, capsys):
    assert main(["space", name]) == 0
    out = capsys.readouterr().out
    space = load_space(name)
    assert out.startswith(f"{name}: ")
    assert f"{len(space.genes)} genes" in out
    for number, stage in enumerate(space.stages, start=1):
        assert re.search(
            rf"^stage {number} .*{', '.join(map(str, stage.widths)) or 'as it comes in'}", out, re.MULTILINE
        )
        assert all(kind.part.name in out for kind in stage.kinds)
    assert re.search(r"^smallest +[0-9.]+ ", out, re.MULTILINE)
    assert ("iformer_t " in out) == (name == "iformer")
    assert ("any slot may be empty" in out) == (name == "efficientformer")
    assert ("a position table" in out) == (name == "inception")
    assert ("local shared by the kinds of a slot" in out) == (name == "lowformer")


def test_rules_of_kinds(capsys):
    main(["space", "hybrid"])
    rows = [line for line in capsys.readouterr().out.splitlines() if "attention_ffn" in line]
    assert len(rows) == 1
    assert rows[0].endswith("4 to 11  0 to 4")


def test_space_as_json(capsys, tmp_path):
    for name, text in SMALL.items():
        path = tmp_path / f"{name}.yaml"
        path.write_text(text)
        assert main(["space", str(path), "--json"]) == 0
        found, space = json.loads(capsys.readouterr().out), load_space(path)
        assert (found["name"], found["networks"], found["genes"]) == (name, space.size, len(space.genes))
        members, sampled = found["members"], found["sampled_macs"]
        assert (
            members["smallest"]["macs"]
            <= sampled["5%"]
            <= sampled["50%"]
            <= sampled["95%"]
            <= members["largest"]["macs"]
        )
        assert [stage["depths"] for stage in found["stages"]] == [list(stage.depths) for stage in space.stages]
        for stage, ours in zip(found["stages"], space.stages, strict=True):
            assert [kind["slots"] for kind in stage["blocks"]] == [list(kind.rule.slots) for kind in ours.kinds]
    assert found["stages"][1]["blocks"][0]["elastic"]["heads"] == {"16": [1, 2], "24": [2, 5], "32": [2, 3]}


def test_picture(capsys, tmp_path):
    """Both histograms have a thousand samples, and each published member its line and its name."""
    path = tmp_path / "space.svg"
    assert main(["space", "iformer", "--svg", str(path)]) == 0
    assert capsys.readouterr().out.endswith(f"\ndrawn in {path}\n")
    root = ET.fromstring(path.read_text())  # noqa: S314  our own file
    tips = [title.text for title in root.findall(".//{*}rect/{*}title")]
    assert sum(int(tip.split(" of ")[0]) for tip in tips) == 2000
    words = [text.text for text in root.findall(".//{*}text")]
    assert all(f"iformer_{size}" in words for size in "tsml")
    dashed = [line for line in root.findall(".//{*}line") if line.get("stroke-dasharray")]
    places = [float(line.get("x1")) for line in dashed]
    assert len(places) == 4
    assert places == sorted(places)


def test_picture_of_a_single_network():
    alone = load_space("tiny").restricted(())
    tips = ET.fromstring(draw_space("alone", alone)).findall(".//{*}rect/{*}title")  # noqa: S314
    assert [tip.text for tip in tips] == ["1000 of 1,000 samples"] * 2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["space", "iformr"], "error: iformr: no space has this name, did you mean 'iformer'?"),
        (["space", "no/such.yaml"], "error: no/such.yaml: there is no such file"),
        (["space", "tiny", "--svg", "no/such/folder/x.svg"], "error: no/such/folder/x.svg: can't be written: No such"),
    ],
)
def test_errors(arguments, expected, capsys):
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith(expected)
    assert err.count("\n") == 1
