"""The command line as a user types it."""

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from test_reading import TINY

from supernet import load_spec, published_names
from supernet.__main__ import main
from tests.forks import PYTHON

ROOT = Path(__file__).parent.parent


def test_list(capsys):
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"iformer_m +iformer +224 +8\.91 +1\.640 +80\.4 +1\.10 +iPhone 13", out)
    assert main(["list", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["name"] for row in rows} == set(published_names())
    row = next(row for row in rows if row["name"] == "lowformer_b0")
    assert (row["family"], row["resolution"], row["params"], row["macs"]) == ("lowformer", 224, 14100472, 944042240)


@pytest.mark.parametrize("name", published_names())
def test_show(name, capsys, tmp_path):
    assert main(["show", name, "--svg", str(tmp_path / "net.svg")]) == 0
    out = capsys.readouterr().out
    assert "stage 4" in out
    assert "100.0%" not in out
    svg = (tmp_path / "net.svg").read_text()
    rectangles = ET.fromstring(svg).findall(".//{*}rect/{*}title")  # noqa: S314  our own file
    blocks = sum(len(stage.blocks) for stage in load_spec(name).stages)
    downsamples = sum(stage.downsample is not None for stage in load_spec(name).stages)
    assert len(rectangles) == blocks + downsamples + 2


def test_count(capsys):
    assert main(["count", "iformer_t", "--json"]) == 0
    counted = json.loads(capsys.readouterr().out)
    assert (counted["params"], counted["macs"]) == (2886456, 530472064)
    assert sum(part["params"] for part in counted["parts"].values()) == 2886456
    assert main(["count", "iformer_t"]) == 0
    assert "2,886,456" in capsys.readouterr().out


def test_check(capsys, tmp_path):
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(TINY)
    bad.write_text(TINY.replace("kernel: 7", "kernel: 4"))
    assert main(["check", str(good), "iformer_t"]) == 0
    assert capsys.readouterr().out == f"{good}: ok\niformer_t: ok\n"
    assert main(["check", str(good), str(bad), "nothing"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"{bad}: stages[0].blocks[0].kernel: 4 is not an odd number from 1 to 31"
    assert lines[2].startswith("nothing: no published network has this name, known are ")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["show", "iformer_n"], "error: iformer_n: no published network has this name, did you mean 'iformer_"),
        (["show", "no/such.yaml"], "error: no/such.yaml: there is no such file"),
        (["count", "."], "error: .: "),
        (["count", "./"], "error: ./: is a directory"),
        (["show", "x" * 300], "error: xxx"),
        (["show", "iformer_t", "--svg", ""], "error: '': can't be written"),
        (
            ["show", "iformer_t", "--svg", "no/such/folder/x.svg"],
            "error: no/such/folder/x.svg: can't be written: No such",
        ),
    ],
)
def test_errors(arguments, expected, capsys):
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith(expected)
    assert err.count("\n") == 1


def test_help(capsys):
    for arguments, status in ((["--help"], 0), (["lists"], 2)):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == status
        said = "".join(capsys.readouterr())
        assert all(word in said for word in ("list", "show", "count", "check"))


def run(*arguments, cwd=ROOT):
    command = [*PYTHON, "-m", "supernet", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


@pytest.mark.slow
def test_process():
    """A real process: an error, no output, a full disk, and a reader that stops reading."""
    failed = run("show", "iformer_n")
    assert (failed.returncode, failed.stdout, failed.stderr.count("\n")) == (2, "", 1)
    closed = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m supernet count iformer_t >&-"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert "Traceback" not in closed.stderr
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "supernet", "list"]
        no_space = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    assert no_space.returncode == 2
    assert no_space.stderr == "error: the output can't be written: No space left on device\n"
    listing = subprocess.Popen(
        [sys.executable, "-m", "supernet", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    )
    listing.stdout.close()
    assert listing.stderr.read() == b""
    assert listing.wait() == 0


def test_names_that_do_not_fit_the_terminal(tmp_path):
    """One line for each file, whatever its name."""
    names = ["é.yaml", "a\nb.yaml", "\udcff.yaml"]
    for name in names:
        (tmp_path / name).write_text(TINY)
    paths = [str(tmp_path / name) for name in names]
    done = subprocess.run(
        [sys.executable, "-m", "supernet", "check", *paths],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii:strict"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.endswith(": ok") for line in done.stdout.splitlines()] == [True] * 3
