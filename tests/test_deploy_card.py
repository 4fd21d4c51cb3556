"""A model card: its example runs, timm loads its weights, and it says what is known and nothing else."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import timm
import torch
import yaml
from test_deploy_origin import SPEC, answering, enter, write_run

import supernet.timm_model  # noqa: F401  timm knows it
from deploy.__main__ import main
from supernet import format_spec, load_spec, parse_spec, save_spec
from tests.forks import PYTHON

ROOT = Path(__file__).parent.parent
FRONT = """\
rank,network,best,file,accuracy %,params,latency phone ms,latency phone low ms,latency phone high ms,code
1,4,,front/other.yaml,80,2000000,3,2,4,0
2,7,yes,front/mine.yaml,71.25,1000000,1.234,1.1,1.4,0
"""
MEASURED = {"model": "x", "ms": 1.3, "low_ms": 1.25, "high_ms": 1.41}
DEVICE = {"device": "coreml", "model": "iPhone13,2", "runtime": "Core ML", "threads": 1}


@pytest.fixture
def here(tmp_path, monkeypatch):
    enter(tmp_path, monkeypatch)
    search = tmp_path / "search"
    (search / "front").mkdir(parents=True)
    (search / "config.yaml").write_text("supernet: /home/somebody/runs/digits\nconstraints: [latency phone <= 2 ms]\n")
    (search / "front.csv").write_text(FRONT)
    save_spec(load_spec("spec.yaml").with_(num_classes=100), search / "front" / "mine.yaml")
    save_spec(load_spec("iformer_t"), search / "front" / "other.yaml")
    (tmp_path / "ms.json").write_text(json.dumps(MEASURED | {"device": DEVICE}) + "\n")
    return tmp_path


def call(command):
    return main(command.split())


def test_what_it_says(here):
    (here / "run" / "config.yaml").write_text(
        "spec: /home/somebody/best.yaml\ninit: /home/somebody/runs/digits\ndata: {source: digits}\n"
        "schedule: {epochs: 3, warmup_epochs: 0}\n"
    )
    assert call("card run --out card --search search --latency ms.json --licence apache-2.0") == 0
    text = (here / "card" / "README.md").read_text()
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["library_name"] == "timm"
    assert front["pipeline_tag"] == "image-classification"
    assert front["license"] == "apache-2.0"
    assert "slimformer" in front["tags"]
    for said in (
        "| top-1 | 12.50 %, on the validation images |",
        "| parameters | 21.7 k",
        "| latency, predicted for phone | 1.23 ms (1.1 to 1.4) |",
        "| latency, measured on iPhone13,2, Core ML, 1 thread | 1.3 ms (quartiles 1.25 to 1.41) |",
        "It is number 2 of 2 on the front, and the most accurate within the constraints.",
        "its accuracy was 71.25 %",
        "epochs: 3",
        "spec: best.yaml",
        "supernet: digits",
        "constraints: [latency phone <= 2 ms]",
        "mean, batch norm, 1 x 10 classes",
    ):
        assert said in text, said
    assert "somebody" not in text


def test_what_it_leaves_to_the_user(here):
    assert call("card run --out card") == 0
    text = (here / "card" / "README.md").read_text()
    assert "license" not in yaml.safe_load(text.split("---\n")[1])
    assert "**Not said yet.**" in text
    assert "How it was found" not in text
    assert "latency" not in text
    assert call("card run --out card --licence mit") == 0, "a card is replaced by a card"
    assert sorted(path.name for path in (here / "card").iterdir()) == [
        "README.md",
        "classes.txt",
        "config.json",
        "model.safetensors",
        "spec.yaml",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("channels", [3, 1])
def test_its_example_runs(channels, here):
    spec = parse_spec(SPEC).with_(in_chans=channels)
    shutil.rmtree("run")
    write_run(here / "run", format_spec(spec), classes=10 if channels == 3 else 0)
    assert call("card run --out card") == 0
    program = re.search(r"```python\n(.*?)```", (here / "card" / "README.md").read_text(), re.DOTALL)[1]
    done = subprocess.run(
        [*PYTHON, "-c", program],
        cwd=here / "card",
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    assert all(re.fullmatch(r"(digit )?\d [\d.]+%", line) for line in lines)


def test_timm_loads_it(here):
    """Weights, preprocessing and names are the run's."""
    assert call("card run --out card") == 0
    net = timm.create_model("local-dir:card", pretrained=True, spec="card/spec.yaml").eval()
    image = torch.randn(1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(net(image), answering(load_spec("spec.yaml"))(image))
    data = timm.data.resolve_model_data_config(net)
    assert tuple(data["mean"]) == (0.5, 0.4, 0.3)
    assert tuple(data["std"]) == (0.2, 0.25, 0.3)
    assert (data["input_size"], data["crop_pct"]) == ((3, 16, 16), 1)
    assert net.pretrained_cfg["label_names"] == [f"digit {number}" for number in range(10)]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("card none --out card", "none is no folder of retrain.py"),
        ("card search --out card", "search is no finished run of retrain.py: spec.yaml is missing"),
        ("card run --out search", "search is no card, so it is not replaced by one"),
        ("card run --out none/card", "none/card can't be written: No such file or directory"),
        ("card run --out card --search run", "run is no folder of search.py with results: front.csv is missing"),
        ("card run --out card --search elsewhere", "elsewhere: this network is not on its front of 1"),
        (
            "card run --out card --latency run/config.yaml",
            "is not what `python -m latency_lut bench MODEL --json` prints",
        ),
        ("card run --out card --latency none.json", "none.json can't be read: No such file or directory"),
        ("card run --out card --latency two.json", "two.json has 2 measurements; it must have one"),
    ],
)
def test_errors(command, said, here, capsys):
    (here / "two.json").write_text((here / "ms.json").read_text() * 2)
    shutil.copytree("search", "elsewhere")
    (here / "elsewhere" / "front.csv").write_text("".join(FRONT.splitlines(keepends=True)[:2]))
    assert call(command) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err
    assert not (here / "card").exists()


def test_no_space_left(here, monkeypatch, capsys):
    assert call("card run --out card") == 0
    text = (here / "card" / "README.md").read_text()

    def fill_the_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", fill_the_disk)
    assert call("card run --out card --licence mit") == 2
    assert "card can't be written: No space left on device" in capsys.readouterr().err
    assert (here / "card" / "README.md").read_text() == text
    assert not list(here.glob(".card*"))
