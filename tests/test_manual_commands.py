"""Every command of the manual is run as it is printed, page after page in one folder, or the page says why not.
Settings that make it quick are added behind it."""

import re
import shutil
from pathlib import Path

import pytest
import torch

from supernet import load_space, save_spec
from tests.manual_pages import ELSEWHERE, PAGES, ROOT, Command, commands, commands_in, fenced
from tests.mistakes import typed

WALKS = (
    "README.md",
    "docs/training.md",
    "docs/latency.md",
    "docs/search.md",
    "docs/retraining.md",
    "docs/shipping.md",
    "docs/spaces.md",
    "docs/pipeline.md",
    "docs/your_iphone.md",
)
"""The pages whose commands are run here, in this order, by a reader who does it all in one folder."""
SHORT = (
    "--set schedule.epochs=1 --set schedule.warmup_epochs=0 --set data.batch_size=128 "
    "--set evaluate.images=100 --set evaluate.calibration_images=64"
)
QUICK = " ".join(f"--protocol {one}" for one in ("rounds=1", "burst_runs=2", "burst_ms=0", "warm_up=1", "drift=10"))
SMALLER = {
    "train_supernet.py configs": f"{SHORT} --set step.sampled=1",
    "latency_lut plan tiny": "--networks 4",
    "latency_lut measure": QUICK,
    "latency_lut bench": f"{QUICK} --resolution 64",
    "search.py": "--set evaluations=16 --set accuracy.calibration_images=64",
    "configs/search/digits_latency.yaml": (
        "--set method.population=8 --set predictor.start=12 --set predictor.candidates=200 "
        '--set "constraints=[latency host <= 9 ms, params <= 15 k]"'
    ),
    "retrain.py searches": SHORT,
    "retrain.py --front": f"{SHORT} --most 1",
}
"""What is added to a command that has this in it."""
PROMISED = {
    "README.md": """iformer_m.svg runs/digits/checkpoints plans/tiny/onnx tables/host.sqlite searches/latency/best.yaml
        searches/latency/front searches/latency/front.csv searches/latency/report.html runs/best/model.safetensors
        runs/judged/evaluation.json runs/best.mlpackage runs/best.onnx""",
    "docs/training.md": "runs/longer/log.jsonl runs/wide/checkpoints members.jsonl",
    "docs/search.md": "searches/digits/front.svg searches/small/report.html searches/halved/best.yaml",
    "docs/retraining.md": "runs/front/front.csv runs/front/front.md runs/front/front.svg runs/judged/table.md",
    "docs/shipping.md": "digits.mlpackage card/README.md card/model.safetensors",
    "docs/spaces.md": "iformer.svg",
    "docs/latency.md": "peers.png",
    "docs/your_iphone.md": "plans/iformer/plan.json",
}


class Walk:
    """Of one reader: page after page, each once."""

    def __init__(self, folder):
        self.folder, self.left = folder, list(WALKS)
        (folder / "configs").symlink_to(ROOT / "configs")

    def to(self, page):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            while page in self.left:
                self.read(self.left.pop(0), patch)

    def read(self, page, patch):
        beside(page)
        for command in commands(page):
            if not command.not_run:
                assert typed(smaller(command.text), patch) == 0, command


def beside(page):
    """Files that the page takes as a reader's own."""
    if page == "docs/training.md":
        save_spec(load_space("tiny").smallest(), "mine.yaml")
    if page == "docs/latency.md":
        save_spec(load_space("tiny").largest(), "my_network.yaml")
    if page == "docs/retraining.md":
        shutil.copytree("runs/best", "runs/other")


def smaller(text):
    return " ".join([text, *(more for part, more in SMALLER.items() if part in text)])


@pytest.fixture(scope="module")
def walk(tmp_path_factory, process_as_before):
    torch.set_num_threads(1)
    return Walk(tmp_path_factory.mktemp("walk"))


@pytest.mark.slow
@pytest.mark.parametrize("page", WALKS)
def test_walk(page, walk, capsys):
    walk.to(page)
    printed = capsys.readouterr().out
    for path in PROMISED.get(page, "").split():
        assert (walk.folder / path).exists(), path
    if page == "README.md":
        assert "8.907 M parameters" in printed
        assert "computes the same as its source" in printed
    if page == "docs/shipping.md":
        for told in said_by_console(page):
            assert told in without_figures(printed)


def said_by_console(page):
    (text,) = fenced(page, "console")
    return [without_figures(said) for said in re.split(r"^\$ .*\n", text, flags=re.MULTILINE) if said]


def without_figures(text):
    return " ".join(re.sub(r"\d[\d.]*(e-\d+)?", "N", text).split())


def test_every_command_is_run_or_says_why_not():
    for page in PAGES:
        if any(not command.not_run for command in commands(page)) and page not in WALKS:
            assert page in ELSEWHERE, f"{page}: run its commands, or say `<!-- not run: why -->` before them"
            assert Path(page).name in (ROOT / "tests" / ELSEWHERE[page]).read_text()


def test_nothing_is_made_smaller_that_is_not_there():
    run = [command.text for page in WALKS for command in commands(page) if not command.not_run]
    for part in SMALLER:
        assert any(part in text for text in run), part


def test_how_commands_are_found():
    text = """`python in a sentence`

```sh
python one.py "a # b"   # a comment
python two.py \\
    --more
```

<!-- not run: no time
     at all -->
```console
$ python three.py
said
```

    make four  # there
    no command

<!-- not run: this --> says nothing of what follows

    OMP_NUM_THREADS=1 python five.py
"""
    assert [(one.text, one.not_run) for one in commands_in(text, "page")] == [
        ('python one.py "a # b"', ""),
        ("python two.py --more", ""),
        ("python three.py", "no time\n     at all"),
        ("make four", ""),
        ("OMP_NUM_THREADS=1 python five.py", ""),
    ]
    assert commands_in("<!-- commands of this page are not run by tests: hours -->\n\n    make one\n", "page") == [
        Command("page", "make one", "hours")
    ]
