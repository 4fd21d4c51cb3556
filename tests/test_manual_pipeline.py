"""docs/your_images.md as a reader follows it, from a folder of images to packages; then what docs/pipeline.md says of
the same folder: nothing is done twice, and a change invalidates what depends on it."""

import contextlib
import io
import json

import pytest
import torch

from pipeline import running
from pipeline.running import shown
from tests.manual_pages import commands, fenced
from tests.mistakes import typed

SHORT = (
    "data.batch_size=128",
    "data.workers=0",
    "schedule.epochs=1",
    "schedule.warmup_epochs=0",
    "evaluate.images=100",
    "evaluate.calibration_images=64",
)
QUICK = "rounds=1, burst_runs=2, burst_ms=0, warm_up=1, drift=10"
SMALLER = (
    *(f"{section}.{change}" for section in ("supernet", "retrain") for change in SHORT),
    "supernet.step.sampled=1",
    "search.evaluations=16",
    "search.method.population=8",
    "search.method.children=8",
    "search.accuracy.calibration_images=64",
    f"devices=[{{name: host, networks: 4, protocol: [{QUICK}]}}]",
    "budget=[latency host <= 9 ms, params <= 15 k]",
)
STAGES = ["supernet", "tables/host", "search", "networks/best", "judged", "packages"]


ALONE = ("train_supernet.py", "latency_lut show")
"""Commands in processes of their own; the others run in this one, which saves importing PyTorch ten times."""


@pytest.fixture
def _mostly_in_this_process(monkeypatch):
    threads = torch.get_num_threads()

    def run(command):
        text = shown(command).partition(" > ")[0]
        if any(part in text for part in ALONE):
            return running.run(command)
        said = io.StringIO()
        with contextlib.redirect_stdout(said) if command.into else contextlib.nullcontext():
            assert typed(text, monkeypatch) == 0, text
        if command.into:
            command.into.write_text(said.getvalue())
        return None

    monkeypatch.setattr("pipeline.doing.run", run)
    yield
    torch.set_num_threads(threads)


def states(printed):
    """What is said of each stage."""
    lines = [line.partition("] ")[2] for line in printed.splitlines() if line.startswith("[")]
    return {name: said for name, _, said in (line.partition(": ") for line in lines)}


@pytest.mark.slow
@pytest.mark.usefixtures("_mostly_in_this_process")
def test_your_images(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (program,), (mine,) = fenced("docs/your_images.md", "python"), fenced("docs/your_images.md", "yaml")
    exec(compile(program, "your_images.md", "exec"), {})  # noqa: S102  our own manual
    (tmp_path / "mine.yaml").write_text(mine)
    out = tmp_path / "runs" / "mine"

    def run(text, *more):
        """What it said of stages."""
        quoted = " ".join(f'--set "{change}"' for change in (*SMALLER, *more))
        assert typed(f"{text} {quoted}", monkeypatch) == 0
        return states(capfd.readouterr().out)

    plan, whole = (command.text for command in commands("docs/your_images.md"))
    assert all("to do" in said for said in run(plan).values())
    assert not out.exists()
    assert list(run(whole)) == [*STAGES, "report"]
    for path in ("report.html", "networks/best/model.safetensors", "judged/evaluation.json", "packages/card/README.md"):
        assert (out / path).exists(), path
    for name in ("best.mlpackage", "best.onnx"):
        assert json.loads((out / "packages" / f"{name}.json").read_text())["ok"], name
    assert (out / "networks" / "best" / "classes.txt").read_text().split() == list("0123456789")

    written = (out / "networks" / "best" / "model.safetensors").stat()
    again = run(whole)
    assert [name for name, said in again.items() if said.startswith("there already")] == STAGES
    assert (out / "networks" / "best" / "model.safetensors").stat() == written
    changed = run(plan, "budget=[params <= 10 k]")
    assert changed["supernet"].endswith(": there already")
    assert changed["networks/best"].endswith("to do again if what it reads of search becomes another")
    assert ": to do: constraints was ['latency host <= 9 ms', 'params <= 15 k'], now" in changed["search"]
    only = next(command.text for command in commands("docs/pipeline.md") if "--only" in command.text)
    assert list(run(only.replace("digits --out runs/demo", "mine.yaml --out runs/mine"))) == ["tables/host", "search"]
