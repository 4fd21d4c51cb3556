"""retrain.py as a user types it: from a network and a recipe to a trained network, and what a wrong word gives."""

import csv
import json
import random
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from supernet import build, count, load_space, load_spec, save_spec, save_weights
from tests.making_data import write_classes
from training.evaluation import evaluate
from training.network_folder import load_network, read_network_setting
from training.network_step import NetworkStep
from training.network_subject import NetworkSubject
from training.processes import Processes
from training.reading import load_network_config
from training.setting import Training

ROOT = Path(__file__).parents[1]
SHORT = ["schedule.epochs=1", "schedule.warmup_epochs=0", "data.held_out=1180", "log.tensorboard=false"]
SHORT += ["evaluate.images=40", "evaluate.calibration_images=40", "precision.device=cpu"]


def script(name, *arguments):
    """The exit status of a script, run in this process."""
    scope = {"__name__": "script"}
    exec(compile((ROOT / name).read_text(), name, "exec"), scope)  # noqa: S102  a script is no module of a package
    try:
        return scope["main"]([str(argument) for argument in arguments])
    except SystemExit as end:
        return end.code


def settings(*overrides):
    return [part for override in (*SHORT, *overrides) for part in ("--set", override)]


def retrain(*arguments, recipe="digits", sets=()):
    return script("retrain.py", *arguments, "--recipe", recipe, *settings(*sets))


@pytest.fixture
def spec_file(tmp_path):
    path = tmp_path / "found.yaml"
    save_spec(load_space("tiny").sample(random.Random(3)), path)
    return path


@pytest.fixture(scope="module")
def supernet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("supernet")
    few = ["evaluate.random=0", "data.held_out=1180", "schedule.epochs=2", "schedule.warmup_epochs=0"]
    sets = [part for one in (*few, "evaluate.images=40", "log.tensorboard=false") for part in ("--set", one)]
    assert script("train_supernet.py", ROOT / "configs" / "digits.yaml", "--out", folder, *sets) == 0
    return folder


def test_from_a_network_to_a_trained_one(spec_file, tmp_path, capsys):
    run = tmp_path / "run"
    assert retrain(spec_file, "--out", run) == 0
    assert "4 steps are done" in capsys.readouterr().out
    config, spec = read_network_setting(run)
    assert spec == load_spec(spec_file).with_(num_classes=10)
    results = json.loads((run / "results.json").read_text())
    assert (results["epochs"], results["params_m"] > 0, results["macs_m"] > 0) == (1, True, True)
    data = Training(config, NetworkSubject(config), tmp_path / "none", Processes()).data
    scores = evaluate(load_network(run), data.validation_batches(spec.size, 40))
    assert (round(scores.top1, 3), round(scores.loss, 5)) == (results["top1"], results["loss"])
    assert (run / "classes.txt").read_text().splitlines() == list("0123456789")
    assert retrain(spec_file, "--out", run) == 0
    assert "4 steps are done" in capsys.readouterr().out


def test_a_whole_run_in_one_file(spec_file, tmp_path):
    file = tmp_path / "mine.yaml"
    recipe = yaml.safe_load((ROOT / "configs" / "retrain" / "digits.yaml").read_text())
    file.write_text(yaml.safe_dump(recipe | {"spec": str(spec_file)}))
    assert script("retrain.py", file, "--out", tmp_path / "run", *settings()) == 0
    assert load_network(tmp_path / "run").num_classes == 10


def test_a_run_that_goes_on_has_not_finished(spec_file, tmp_path, monkeypatch, capsys):
    """What an earlier end left is not taken for the result of the longer run."""
    run = tmp_path / "run"
    assert retrain(spec_file, "--out", run) == 0

    def interrupted(self, *_):
        raise KeyboardInterrupt

    monkeypatch.setattr(NetworkStep, "_loss", interrupted)
    assert retrain(spec_file, "--out", run, sets=("schedule.epochs=2",)) == 130
    for words in (["--evaluate", run], [spec_file, "--recipe", "digits", *settings(f"init={run}")]):
        assert script("retrain.py", *words, "--out", tmp_path / "other") == 2
        assert "has not finished" in capsys.readouterr().err
    monkeypatch.undo()
    assert retrain(spec_file, "--out", run, sets=("schedule.epochs=2",)) == 0
    assert json.loads((run / "results.json").read_text())["epochs"] == 2


def started(tmp_path, *overrides, spec):
    """A run that has not made a step."""
    config = load_network_config(ROOT / "configs" / "retrain" / "digits.yaml", [f"spec={spec}", *SHORT, *overrides])
    return Training(config, NetworkSubject(config), tmp_path / "none", Processes())


def test_weights_of_a_supernet(supernet, tmp_path):
    from training.supernet_folder import load_supernet

    member = load_space("tiny").sample(random.Random(5))
    save_spec(member, tmp_path / "member.yaml")
    run = started(tmp_path, f"init={supernet}", spec=tmp_path / "member.yaml")
    theirs = load_supernet(supernet).extract(member.with_(num_classes=10))
    for name, parameter in run.net.named_parameters():
        assert torch.equal(parameter, theirs.get_parameter(name)), name
    assert f"weights of the supernet {supernet.name}" in run.about()
    statistics = [buffer for name, buffer in run.net.named_buffers() if name.endswith("running_mean")]
    assert all(bool(buffer.any()) for buffer in statistics), "batch norms were calibrated"


def test_weights_of_a_run_and_of_a_file(spec_file, tmp_path):
    assert retrain(spec_file, "--out", tmp_path / "first") == 0
    for init in (tmp_path / "first", tmp_path / "first" / "model.safetensors"):
        run = started(tmp_path, f"init={init}", spec=spec_file)
        first = load_network(tmp_path / "first").state_dict()
        assert all(torch.equal(tensor, first[name]) for name, tensor in run.net.state_dict().items())


def test_weights_for_other_classes_keep_a_fresh_classifier(spec_file, tmp_path):
    torch.manual_seed(1)
    save_weights(build(load_spec(spec_file).with_(num_classes=7)), tmp_path / "seven.safetensors")
    run = started(tmp_path, f"init={tmp_path / 'seven.safetensors'}", spec=spec_file)
    assert "classifier" in run.about()
    assert run.net.num_classes == 10


def test_frozen_norms_stay(spec_file, tmp_path):
    assert retrain(spec_file, "--out", tmp_path / "first") == 0
    frozen = ("freeze_norm=true", f"init={tmp_path / 'first'}", "ema=null", "evaluate.calibration_images=0")
    assert retrain(spec_file, "--out", tmp_path / "second", sets=frozen) == 0
    before, after = (load_network(tmp_path / name) for name in ("first", "second"))
    norms = [name for name, part in before.named_modules() if isinstance(part, torch.nn.modules.batchnorm._BatchNorm)]
    states = before.state_dict(), after.state_dict()
    for name, tensor in states[0].items():
        is_norm = name.rpartition(".")[0] in norms
        assert torch.equal(tensor, states[1][name]) == (is_norm or not tensor.is_floating_point()), name


WRONG = [
    (["nonsense"], "error: nonsense: no published network has this name"),
    (["iformer_t", "--recipe", "nonsense"], "--recipe: 'nonsense': no recipe has this name"),
    (["iformer_t", "--set", "data.path=nowhere"], "data.path: there is no "),
    (["FOUND", "--recipe", "digits", "--set", "init=nowhere"], "init: there is no nowhere"),
    (["FOUND", "--recipe", "digits", "--set", "init=."], " is neither a run of train_supernet.py"),
    (["FOUND", "--recipe", "digits", "--set", "lr=3"], "there is no field 'lr' in a run"),
    (["FOUND", "--recipe", "digits", "--set", "step.mesa={}", "--set", "ema=null"], "ema must be set"),
    (["FOUND", "--recipe", "digits", "--set", "freeze_norm=true"], "needs weights to freeze: init"),
    (["FOUND", "--recipe", "digits", "--set", "freeze_norm=true", "--set", "init=x"], "must be 0 with freeze_norm"),
    (["lowformer_b0", "--recipe", "digits", "--set", "distilled=true"], "distilled: true is not possible"),
    (
        ["efficientformer_l1", "--recipe", "digits", "--set", "step.resolutions=[128]"],
        "step.resolutions[0]: 128 can't be",
    ),
    (["lowformer_b0", "--recipe", "digits", "--set", "step.resolutions=[224, 10]"], "step.resolutions[1]: 10 "),
    (["FOUND", "--recipe", "digits", "--set", "data.num_classes=3"], "data.num_classes: 3 is too few"),
    (
        ["FOUND", "--recipe", "digits", "--set", "step.teacher={model: resnet}"],
        "step.teacher.model: 'resnet' is not a model",
    ),
    (["FOUND", "--recipe", "digits", "--set", "step.drop_path_grows=true", "--set", "precision.compile=true"], "anew"),
    (["FOUND"], "the family"),
    (["--front", "nowhere", "--recipe", "digits"], "--front: nowhere is no folder of networks"),
    (["--evaluate", "nowhere", "--set", "data.source=digits"], "nowhere"),
    (["--evaluate", "iformer_t"], "data"),
]


@pytest.mark.parametrize(("words", "said"), WRONG, ids=[" ".join(words) for words, _ in WRONG])
def test_wrong_words_are_one_line(words, said, spec_file, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hybrid = load_spec(spec_file).with_(family="hybrid")
    save_spec(hybrid if words == ["FOUND"] else load_spec(spec_file), spec_file)
    words = [str(spec_file) if word == "FOUND" else word for word in words]
    assert script("retrain.py", *words, "--out", tmp_path / "run") == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert said in errors[0]


@pytest.mark.parametrize(
    "words", [[], ["iformer_t", "--front", "x"], ["iformer_t", "--weights", "x"], ["--front", "x", "--split", "train"]]
)
def test_arguments_that_do_not_belong_together(words, tmp_path, capsys):
    assert script("retrain.py", *words, "--out", tmp_path / "run") == 2
    assert ": error: " in capsys.readouterr().err


def test_one_class_is_refused(spec_file, tmp_path, capsys):
    for split in ("train", "validation"):
        write_classes("folder", tmp_path / "data", split, [("cat", number) for number in range(8)])
    one = (
        "data.source=folder",
        f"data.path={tmp_path / 'data'}",
        "data.held_out=0",
        "data.batch_size=4",
        "data.workers=0",
    )
    assert retrain(spec_file, "--out", tmp_path / "run", sets=one) == 2
    assert "error: data: its images are all of one class" in capsys.readouterr().err


def test_weights_that_do_not_fit(supernet, spec_file, tmp_path, capsys):
    save_weights(build(load_space("tiny").largest()), tmp_path / "other.safetensors")
    assert retrain(spec_file, "--out", tmp_path / "a", sets=(f"init={tmp_path / 'other.safetensors'}",)) == 2
    assert "does not fit the network" in capsys.readouterr().err
    save_spec(load_space("iformer_small").smallest(), spec_file)
    assert retrain(spec_file, "--out", tmp_path / "b", sets=(f"init={supernet}",)) == 2
    assert "the network is not in its space" in capsys.readouterr().err


def test_a_folder_of_a_supernet_is_left_alone(supernet, spec_file, capsys):
    before = (supernet / "config.yaml").read_text()
    assert retrain(spec_file, "--out", supernet) == 2
    assert "of something else" in capsys.readouterr().err
    assert (supernet / "config.yaml").read_text() == before


# --- fronts --------------------------------------------------------------------------------------------------------


@pytest.fixture
def front(tmp_path):
    """As search.py leaves it."""
    folder, rows = tmp_path / "search" / "front", []
    folder.mkdir(parents=True)
    for seed in range(4):
        name = f"{seed + 1:03d}_{90 - seed}.00_0.0{5 - seed}0M.yaml"
        save_spec(load_space("tiny").sample(random.Random(seed)), folder / name)
        rows.append({"file": f"front/{name}", "accuracy %": 90.0 - seed, "latency phone ms": 0.4 - seed / 10})
    with (tmp_path / "search" / "front.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    return folder


def test_a_front(front, tmp_path, capsys):
    out = tmp_path / "trained"
    assert retrain("--front", front, "--out", out, "--most", 3) == 0
    said = capsys.readouterr().out
    assert "network 1 of 3: 001_90" in said
    assert "Kendall's tau of predicted and trained accuracy" in said
    rows = list(csv.DictReader((out / "front.csv").open()))
    assert [row["network"][:3] for row in rows] == ["001", "003", "004"], "both ends, and between"
    for row in rows:
        results = json.loads((out / row["network"] / "results.json").read_text())
        assert float(row["top1 %"]) == results["top1"]
    assert [float(row["predicted %"]) for row in rows] == [90.0, 88.0, 87.0]
    assert [float(row["latency phone ms"]) for row in rows] == [0.4, 0.2, 0.1]
    assert (out / "front.md").read_text().count("\n") == 5
    assert "<svg" in (out / "front.svg").read_text()


def test_a_front_without_what_is_there(front, tmp_path, capsys):
    first, *others = sorted(front.glob("*.yaml"))
    best = tmp_path / "best.yaml"
    best.write_text(f"# the best\n{first.read_text()}")
    assert retrain("--front", front, "--out", tmp_path / "trained", "--most", 1, "--without", best) == 0
    (row,) = csv.DictReader((tmp_path / "trained" / "front.csv").open())
    assert row["network"] == others[0].stem
    assert retrain("--front", front, "--out", tmp_path / "trained", "--without", tmp_path / "no.yaml") == 2
    assert "error: --without: " in capsys.readouterr().err
    for file in others:
        file.unlink()
    assert retrain("--front", front, "--out", tmp_path / "trained", "--without", best) == 0
    assert capsys.readouterr().out == "the front has no other network\n"


def test_one_that_diverges_stops_no_other(front, tmp_path, capsys, monkeypatch):
    """It is named in the end; the others are trained, and stand in the table."""
    loss = NetworkStep._loss

    def spoilt(self, images, targets, progress):
        found = loss(self, images, targets, progress)
        return found * float("nan") if bad(self) else found

    def bad(step):
        return sum(parameter.numel() for parameter in step.run.parameters()) == sizes[0]

    sizes = [count(load_spec(path).with_(num_classes=10)).params for path in sorted(front.glob("*.yaml"))]
    assert len(set(sizes)) == len(sizes)
    monkeypatch.setattr(NetworkStep, "_loss", spoilt)
    assert retrain("--front", front, "--out", tmp_path / "trained", "--most", 2) == 2
    assert "error: 1 of 2 failed; 001_90.00_0.050M: the loss of the network is nan" in capsys.readouterr().err
    (row,) = csv.DictReader((tmp_path / "trained" / "front.csv").open())
    assert row["network"].startswith("004")


def test_a_folder_of_no_search(front, tmp_path):
    (front.parent / "front.csv").unlink()
    assert retrain("--front", front, "--out", tmp_path / "trained", "--most", 1) == 0
    (row,) = csv.DictReader((tmp_path / "trained" / "front.csv").open())
    assert "predicted %" not in row


@pytest.mark.slow
def test_side_by_side(front, tmp_path, capsys):
    """The same weights as one after the other; what fails is said, and the others are trained."""
    out, alone, broken = tmp_path / "trained", tmp_path / "alone", "001_90.00_0.050M"
    sets = ("processes.cpus=1", "precision.threads=1")
    assert retrain("--front", front, "--out", alone, "--most", 3, sets=sets) == 0
    shutil.copytree(alone / broken, out / broken)
    (out / broken / "config.yaml").unlink()
    (out / broken / "spec.yaml").unlink()
    capsys.readouterr()
    assert retrain("--front", front, "--out", out, "--most", 3, "--at-once", 2, sets=sets) == 2
    assert f"1 of 3 failed; {broken}: " in capsys.readouterr().err
    trained = [path.parent.name for path in sorted(out.glob("*/results.json"))]
    assert [name[:3] for name in trained] == ["001", "003", "004"]
    for name in trained:
        assert (out / name / "results.json").read_text() == (alone / name / "results.json").read_text()


def test_half_precision(spec_file, tmp_path):
    """bf16 and channels last learn the same, but for rounding."""
    half = ("precision.amp=bf16", "precision.channels_last=true")
    assert retrain(spec_file, "--out", tmp_path / "half", sets=half) == 0
    assert retrain(spec_file, "--out", tmp_path / "single") == 0
    half_loss, loss = (
        json.loads((tmp_path / name / "results.json").read_text())["loss"] for name in ("half", "single")
    )
    assert half_loss == pytest.approx(loss, rel=0.03)
    assert half_loss != loss
