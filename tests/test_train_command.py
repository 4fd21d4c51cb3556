"""train_supernet.py as a user types it: what is wrong is said in one line, what is right can be used afterwards."""

import importlib.util
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from supernet import load_spec, save_spec
from tests.forks import PYTHON
from training.claim import claimed
from training.supernet_folder import load_supernet, read_setting, read_supernet

ROOT = Path(__file__).parents[1]
DIGITS = str(ROOT / "configs" / "digits.yaml")
_SPEC = importlib.util.spec_from_file_location("train_supernet", ROOT / "train_supernet.py")
SCRIPT = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(SCRIPT)

SHORT = {
    "data.batch_size": 256,  # four steps an epoch
    "schedule.epochs": 2,
    "schedule.warmup_epochs": 1,
    "step.sampled": 1,
    "evaluate.every": 1,
    "evaluate.calibration_images": 256,
    "evaluate.images": 200,  # of 359
    "precision.threads": 1,
    "precision.device": "cpu",
    "log.tensorboard": "false",
}
pytestmark = pytest.mark.usefixtures("process_as_before")
no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="here it would run")


def typed(arguments):
    """The exit status."""
    try:
        return SCRIPT.main([str(argument) for argument in arguments])
    except SystemExit as end:  # argparse's
        return end.code


def training(out, config=DIGITS, **changes):
    options = SHORT | {name.replace("__", "."): value for name, value in changes.items()}
    settings = [part for name, value in options.items() for part in ("--set", f"{name}={value}")]
    return [config, "--out", out, *settings]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    assert typed(training(folder)) == 0
    return folder


@pytest.fixture
def copy(run, tmp_path):
    """Of the finished run, to be spoilt."""
    return Path(shutil.copytree(run, tmp_path / "copy"))


@pytest.fixture
def refused(capsys):
    """Types a command that must fail with status 2; gives the line that is said. Nothing else may be said."""

    def check(arguments):
        capsys.readouterr()
        assert typed(arguments) == 2
        said = capsys.readouterr().err
        assert "Traceback" not in said
        *usage, last = said.splitlines()
        assert not usage or usage[0].startswith("usage: ")
        assert "error: " in last
        return last.partition("error: ")[2]

    return check


def files(folder):
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


# the arguments


def test_help_costs_no_import():
    code = "import sys, train_supernet as t\ntry:\n t.main(['--help'])\nfinally:\n assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for option in ("--out", "--set", "--evaluate", "--spec", "--random", "--extremes", "--split", "--last", "--output"):
        assert option in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "either a config to train, or --evaluate RUN"),
        ([DIGITS, "--evaluate", "x"], "either a config to train, or --evaluate RUN"),
        ([DIGITS], "--out is missing: where shall the run be written?"),
        (["--evaluate", "x", "--out", "y"], "--out is for training; with --evaluate, --output FILE takes the results"),
        ([DIGITS, "--out", "x", "--random", "2"], "--random is for --evaluate RUN, not for training"),
        ([DIGITS, "--out", "x", "--last"], "--last is for --evaluate RUN, not for training"),
        (["--evaluate", "x", "--random", "-1"], "argument --random: '-1' is not a whole number from 0 on"),
        (["--evaluate", "x", "--random", "two"], "argument --random: 'two' is not a whole number from 0 on"),
    ],
)
def test_arguments_that_do_not_belong_together(arguments, message, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refused(arguments) == message
    assert not list(tmp_path.iterdir())


# what a config can't mean here


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data__source": "folder"}, "data.path: is missing: this source needs the directory with the data"),
        ({"data__source": "folder", "data__path": "/nowhere"}, "data.path: there is no /nowhere"),
        ({"data__batch_size": 5000}, "data.batch_size: 5,000 is more than the 1,238 training images"),
        ({"data__held_out": 1438}, "data.held_out: 1,438 of 1,438 training images leave none to train on"),
        ({"data__num_classes": 3}, "data.num_classes: 3 is too few: the training images have 10 classes"),
        ({"optimizer__accumulate": 5}, "optimizer.accumulate: 5 batches are more than the 4 of an epoch"),
        ({"space": "tinny"}, "space: tinny: no space has this name, did you mean 'tiny'?"),
        ({"init": "/nowhere.pth"}, "init: there is no file /nowhere.pth"),
        ({"init_spec": "iformer_tt"}, "init_spec: iformer_tt: no published network has this name, did you mean"),
        ({"init_spec": "iformer_t"}, "init_spec: iformer_t is not in the run's space: resolution: 224 is not 16, as"),
        ({"schedule__warmup_epochs": 2}, "schedule.warmup_epochs: 2 are not fewer than 2 epochs"),
        ({"optimizer__name": "adamww"}, "optimizer.name: 'adamww' is none of timm's: did you mean 'adamw'?"),
        ({"optimizer__name": "adahessian"}, "optimizer.name: 'adahessian' needs gradients of gradients"),
        (
            {"step__teacher__model": "regnety_161"},
            "step.teacher.model: 'regnety_161' is not a model of timm's; regnety_1",
        ),
        (
            {"step__teacher": "resnet18"},
            "--set step.teacher=resnet18: step.teacher: 'resnet18' can't stand here: expected",
        ),
        (
            {"step__conflict": "largest", "step__largest": "false", "step__distill": "none"},
            "--set step.conflict=largest: step.conflict: 'largest' needs",
        ),
        (
            {"step__conflict": "attention", "step__conflict_from": 2},
            "--set step.conflict_from=2: step.conflict_from: 2 is no epoch of 2",
        ),
        (
            {"phases": "[{start: 2, elastic: [depth]}]"},
            "--set phases=[{start: 2, elastic: [depth]}]: phases[0].start: 2 is no epoch of 2, counted from 0",
        ),
        (
            {"data__held_out": 1300},
            "data.batch_size: 256 is more than the 138 training images that data.held_out leaves",
        ),
        ({"augment__randaugment": "strong"}, "augment.randaugment: 'strong' is not in timm's notation"),
        ({"seed": -1}, "--set seed=-1: seed: -1 is not a number from 0 to"),
        ({"optimizer__lrr": 1}, "--set optimizer.lrr=1: there is no field 'lrr' in optimizer, did you mean 'lr'?"),
        ({"log__every": "often"}, "--set log.every=often: log.every: 'often' can't stand here: expected a whole"),
        pytest.param({"precision__amp": "fp16"}, "precision.amp: 'fp16' needs CUDA", id="fp16"),
        pytest.param({"precision__device": "cuda"}, "precision.device: 'cuda' is not here", marks=no_gpu, id="cuda"),
        pytest.param(
            {"log__wandb": "mine"},
            "log.wandb: 'mine' needs the package wandb, which is not installed",
            marks=pytest.mark.skipif(importlib.util.find_spec("wandb") is not None, reason="it is installed"),
            id="wandb",
        ),
    ],
)
def test_config_that_can_not_be(changes, message, refused, tmp_path):
    assert refused(training(tmp_path / "run", **changes)).startswith(message)


def test_sorting_needs_one_order(refused, tmp_path):
    phases = "[{start: 0, elastic: []}, {start: 1, elastic: [width], sort: true}]"
    said = refused(training(tmp_path / "run", norm="per_width", phases=phases))
    assert said.endswith("phases[1].sort: true needs norm: shared, as norms of each width fix the order")


def test_files_that_can_not_be_read(refused, tmp_path):
    nothing, wrong, damaged = tmp_path / "none.yaml", tmp_path / "wrong.yaml", tmp_path / "damaged.pth"
    assert refused(training(tmp_path / "run", nothing)).startswith(f"{nothing}: can't be read: No such file")
    assert refused(training(tmp_path / "run", tmp_path)).startswith(f"{tmp_path}: is a directory")
    wrong.write_text("space: tiny\ndata: {source: digits}\noptimiser: {lr: 1}\n")
    assert refused(training(tmp_path / "run", wrong)).startswith(f"{wrong}: optimiser: there is no such field, did you")
    damaged.write_text("no checkpoint")
    assert refused(training(tmp_path / "run", init=damaged)).startswith(f"init: {damaged}: ")
    weights = f"{{model: resnet10t, weights: {damaged}}}"
    said = refused(training(tmp_path / "run", step__teacher=weights))
    assert said.startswith(f"step.teacher.weights: {damaged}: is no checkpoint that can be read")
    assert not (tmp_path / "run").exists()


def test_out_is_no_folder(refused, tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    assert refused(training(file)) == f"--out: {file} is a file; a run is a folder"
    assert refused(training(file / "run")) == f"--out: {file}/run can't be written: Not a directory"
    assert file.read_text() == "mine"


@pytest.mark.parametrize("name", ["config.yaml", "log.jsonl"])
def test_out_is_a_folder_of_something_else(name, refused, tmp_path):
    file = tmp_path / name
    file.write_text("mine: true\n")
    said = refused(training(tmp_path))
    assert said == f"--out: {tmp_path} has a {name} of something else; a run needs a folder of its own"
    assert file.read_text() == "mine: true\n"


def test_two_runs_in_one_folder(refused, copy):
    with claimed(copy, "space.yaml"):
        before = files(copy)
        assert refused(training(copy, schedule__epochs=3)) == f"--out: another process works in {copy}"
        assert files(copy) == before
    assert typed(training(copy, schedule__epochs=3)) == 0


def test_fewer_epochs_than_were_done(refused, copy):
    said = refused(training(copy, schedule__epochs=1, schedule__warmup_epochs=0))
    assert said == f"schedule.epochs: 1 are fewer: the run in {copy} has done 2 epochs already"


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.3, 1.5])
def test_interrupted_while_it_starts(seconds, tmp_path):
    command = [sys.executable, "train_supernet.py", *map(str, training(tmp_path / "run"))]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert "Traceback" not in said


def test_diverging_run_says_where(refused, copy):
    """Continued with a rate that is far too high: step, subnet and the checkpoint before are named."""
    said = refused(training(copy, schedule__epochs=3, optimizer__lr=1e9, optimizer__clip="null"))
    assert re.match(r"the loss of the (largest|smallest|sampled) subnet is (nan|inf) at step (9|10|11|12) ", said)
    assert f"The last good checkpoint: {copy / 'checkpoints' / 'step_00000008.pt'}." in said
    assert load_spec(copy / "diverged.yaml") in read_setting(copy)[1]


# a folder with a run


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "seed is '0' there and '1' here"),
        ({"data__batch_size": 128}, "images per step is '256' there and '128' here"),
        ({"ema": "null"}, "averaged is 'True' there and 'False' here"),
        ({"norm": "per_width"}, "norm is 'shared' there and 'per_width' here"),
        ({"optimizer__name": "lion"}, "optimizer is 'adamw 0.02 None 0.9 None' there and 'lion 0.02"),
        ({"space": "iformer_small"}, "space is 'tiny "),
    ],
)
def test_folder_of_another_run(changes, message, refused, run):
    before = files(run)
    said = refused(training(run, **changes))
    assert said.startswith(f"{run / 'checkpoints' / 'step_00000008.pt'} was written for another run: ")
    assert message in said
    assert "take another run directory, or the options it was started with" in said
    assert files(run) == before


def test_folder_whose_checkpoints_are_all_damaged(refused, copy):
    for path in (copy / "checkpoints").glob("*.pt"):
        path.write_bytes(path.read_bytes()[:-100])
    before = files(copy)
    for arguments in (training(copy), ["--evaluate", copy, "--extremes"]):
        said = refused(arguments)
        assert said.startswith("no checkpoint can be used: ")
        assert said.count("truncated, or not one of ours") == 2
    assert files(copy) == before


def test_finished_run_is_not_trained_again(run, capsys):
    before = files(run)
    assert typed(training(run)) == 0
    said = capsys.readouterr().out
    assert f"8 steps are done; the run is in {run}" in said
    assert "step 8/8" not in said
    after = files(run)
    kept = [path for path in before if "checkpoints" in path.parts]
    assert kept
    assert {path: after[path] for path in kept} == {path: before[path] for path in kept}
    assert {path: content for path, (_, content) in after.items()} == {p: content for p, (_, content) in before.items()}


def test_changed_options_of_a_finished_run_are_named(copy, caplog):
    assert typed(training(copy, optimizer__lr=1e-3)) == 0
    assert "optimizer.lr was 0.004, now 0.001" in caplog.text
    assert read_setting(copy)[0].optimizer.lr == 4e-3, "the config is that of what was trained"


def test_changed_options_are_named(copy, caplog):
    assert typed(training(copy, schedule__epochs=3, optimizer__lr=1e-3)) == 0
    assert "optimizer.lr was 0.004, now 0.001" in caplog.text
    assert "schedule.epochs was 2, now 3" in caplog.text
    assert "batch_size" not in caplog.text
    assert read_setting(copy)[0].optimizer.lr == 1e-3


# evaluating


def test_evaluation_equals_that_of_the_run(run, tmp_path, capsys):
    output = tmp_path / "members.jsonl"
    arguments = ["--evaluate", run, "--random", 2, "--extremes", "--last", "--output", output]
    assert typed(arguments) == 0
    printed = capsys.readouterr().out
    rows = [json.loads(line) for line in printed.splitlines()]
    assert output.read_text() == printed
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    logged = [line for line in log if line["kind"] == "evaluation"][-1]
    assert [row["name"] for row in rows] == ["largest", "smallest", "random 1", "random 2"]
    assert [{key: row[key] for key in logged["rows"][0]} for row in rows] == logged["rows"]
    space = read_setting(run)[1]
    assert [space.decode(row["code"]) for row in rows[:2]] == [space.largest(), space.smallest()]
    assert {row["checkpoint"] for row in rows} == {"step_00000008.pt"}
    assert typed([*arguments, "--seed", 5]) == 0
    assert output.read_text().startswith(printed)  # a second time goes on
    others = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert others[:2] == rows[:2]
    assert others[2]["code"] != rows[2]["code"]


def test_evaluation_of_a_spec_on_held_out_images(run, tmp_path, capsys):
    space = read_setting(run)[1]
    member = tmp_path / "member.yaml"
    save_spec(space.smallest().with_(num_classes=1000), member)  # the run's classes count
    assert typed(["--evaluate", run, "--spec", member, "--split", "held_out", "--set", "data.workers=0"]) == 0
    (row,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (row["name"], row["split"], space.decode(row["code"])) == (str(member), "held_out", space.smallest())
    assert row["top1"] * 2 == round(row["top1"] * 2)  # of 200 images


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--evaluate: which members? --spec NAME, --random N or --extremes"),
        (["--spec", "iformer_t"], "--spec: iformer_t is not in the run's space: resolution: 224 is not 16"),
        (["--spec", "iformer_tt"], "--spec: iformer_tt: no published network has this name, did you mean 'iformer_t'?"),
        (["--spec", "none.yaml"], "--spec: none.yaml: there is no such file"),
        (["--extremes", "--set", "seed=3"], "--set seed=3: the run is as it was trained; an evaluation can set "),
        (["--extremes", "--set", "data.held_out=3"], "--set data.held_out=3: the run is as it was trained"),
        (["--extremes", "--set", "evaluate.random=3"], "--set evaluate.random=3: the run is as it was trained"),
        (["--extremes", "--set", "data.workers=-1"], "--set data.workers=-1: data.workers: -1 is not a number from 0"),
        (["--extremes", "--output", "/nowhere/x"], "--output: /nowhere/x can't be written: No such file or directory"),
        (["--extremes", "--set", "precision.amp=fp16"], "precision.amp: 'fp16' needs CUDA"),
    ],
)
def test_evaluation_that_can_not_be(arguments, message, refused, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refused(["--evaluate", run, *arguments]).startswith(message)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full is Linux's")
def test_full_disk(refused, run):
    assert refused(["--evaluate", run, "--extremes", "--output", "/dev/full"]) == (
        "--output: /dev/full can't be written: No space left on device"
    )


def test_evaluation_of_what_is_no_run(refused, tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        assert refused(["--evaluate", folder, "--extremes"]) == (
            f"{folder}: is no run of train_supernet.py: config.yaml is missing"
        )


def test_evaluation_of_a_spoilt_run(refused, copy):
    space = copy / "space.yaml"
    text = space.read_text()
    space.write_text(text.replace("expand: [2, 3]", "expand: [2, 4]"))
    said = refused(["--evaluate", copy, "--extremes"])
    assert said.startswith(f"{copy / 'checkpoints'}")
    assert "its weights are not those of space.yaml and config.yaml: " in said
    space.write_text(text.replace("num_classes: 10", "num_classes: 12"))
    assert " are not those of space.yaml" in refused(["--evaluate", copy, "--extremes"])
    space.unlink()
    assert refused(["--evaluate", copy, "--extremes"]).endswith("space.yaml is missing")
    space.write_text(text)
    shutil.rmtree(copy / "checkpoints")
    assert refused(["--evaluate", copy, "--extremes"]) == f"{copy}: has no checkpoint yet"


def test_evaluation_on_images_of_other_classes(refused, copy):
    config = copy / "config.yaml"
    config.write_text(config.read_text().replace("source: digits", "source: digits, num_classes: 20"))
    said = refused(["--evaluate", copy, "--extremes"])
    assert said == "data: the images have 20 classes, the run's networks know 10"


def test_run_without_held_out_images(refused, copy):
    config = copy / "config.yaml"
    config.write_text(config.read_text().replace(", held_out: 200", ""))
    said = refused(["--evaluate", copy, "--extremes", "--split", "held_out"])
    assert said == "--split: the run held no images out: data.held_out is 0"


def test_best_and_last(copy):
    """The best checkpoint is the default; where there is none, the newest."""
    index = json.loads((copy / "checkpoints" / "index.json").read_text())
    assert index["latest"] == "step_00000008.pt"
    first = dict(load_supernet(copy).state_dict())
    (copy / "checkpoints" / "step_00000004.pt").unlink()
    last = dict(load_supernet(copy, best=False).state_dict())
    assert first.keys() == last.keys()
    assert all(torch.equal(first[name], last[name]) for name in first) == (index["best"] == "step_00000008.pt")


def test_damaged_best(copy, caplog):
    """The newest is taken instead."""
    index = json.loads((copy / "checkpoints" / "index.json").read_text())
    other = next(row["file"] for row in index["checkpoints"] if row["file"] != index["best"])
    best = copy / "checkpoints" / index["best"]
    content = bytearray(best.read_bytes())
    content[len(content) // 2] ^= 1
    best.write_bytes(content)
    assert read_supernet(copy)[1].name == other
    assert "the best checkpoint is refused, and the newest taken" in caplog.text


@pytest.mark.slow
def test_reader_that_goes_away(run):
    """As with `| head -1`: no traceback."""
    command = [*PYTHON, "train_supernet.py", "--evaluate", str(run), "--random", "2"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 2
    assert said == "error: nobody reads the output any more\n"
