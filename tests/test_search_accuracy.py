"""How good networks are said to be: on a trained supernet, and by halving."""

import csv
import gc
from pathlib import Path

import numpy as np
import optuna
import pytest

from search.accuracy import SupernetJudge, Task, fingerprint
from search.codes import Codes
from search.command import search_command
from search.config import AccuracyConfig
from search.halving import better_half, shares
from supernet import SpecError, load_space
from training.evaluation import evaluate_member
from training.loop import train
from training.reading import load_config
from training.run_folder import load_supernet

ROOT = Path(__file__).parents[1]
QUICK = AccuracyConfig(calibration_images=128)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    short = ["data.batch_size=256", "schedule.epochs=1", "schedule.warmup_epochs=0", "log.tensorboard=false"]
    train(
        load_config(ROOT / "configs" / "digits.yaml", [*short, "evaluate.calibration_images=128", "evaluate.random=0"]),
        folder,
    )
    yield folder
    gc.unfreeze()


def test_the_supernets_judgement(run):
    """That of an evaluation of the member, each time, on the images that were held out."""
    judge = SupernetJudge(str(run), QUICK)
    net, spec = load_supernet(run), load_space("tiny").largest()
    scores = evaluate_member(
        net, spec, lambda size: judge.data.calibration_batches(size, 128), judge.data.held_out_batches
    )
    assert scores.images == judge.images == 200
    assert judge([Task(spec), Task(spec)]) == [scores.top1] * 2
    (part,) = judge([Task(spec, 0.25)])
    assert part == pytest.approx(round(part / 2) * 2), "50 images give steps of 2 points"
    few = SupernetJudge(str(run), AccuracyConfig(split="validation", images=40, calibration_images=128))
    assert few.images == 40
    assert few([Task(spec)])[0] * 0.4 == pytest.approx(round(few([Task(spec)])[0] * 0.4))


def test_what_accuracies_depend_on(run):
    space = load_space("tiny")
    ours = fingerprint(str(run), space, QUICK)
    assert ours == fingerprint(str(run), space, QUICK)
    assert ours != fingerprint(str(run), space, AccuracyConfig(calibration_images=256))
    assert ours != fingerprint(str(run), space.restricted(("width",)), QUICK)
    assert ours == fingerprint(str(run), space, AccuracyConfig(calibration_images=128, halving=2))
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("held_out: 200", "held_out: 300"))
    assert ours != fingerprint(str(run), space, QUICK), "other images"
    (run / "config.yaml").write_text(config)


def test_a_function_that_was_changed_is_another_one(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    module, config = tmp_path / "my_accuracy.py", AccuracyConfig(function="my_accuracy:worth")
    module.write_text("def worth(specs):\n    return [1.0 for _ in specs]\n")
    before = fingerprint("", load_space("tiny"), config)
    assert fingerprint("", load_space("tiny"), config) == before
    module.write_text("def worth(specs):\n    return [2.0 for _ in specs]\n")
    assert fingerprint("", load_space("tiny"), config) != before


def test_images_that_nobody_held_out(run):
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("held_out: 200", "held_out: 0"))
    try:
        with pytest.raises(SpecError, match="held no training images out"):
            SupernetJudge(str(run), QUICK)
    finally:
        (run / "config.yaml").write_text(config)


def test_the_better_half():
    """Of each four; of equal ones the first; a single one stays."""
    assert shares(2) == [0.25, 0.5, 1.0]
    assert shares(0) == [1.0]
    rows = better_half(np.arange(9), np.array([3.0, 1, 4, 2, 5, 5, 5, 5, 0]), group=4)
    assert rows.tolist() == [0, 2, 4, 5, 8]
    assert better_half(rows, np.array([3.5, 4, 5, 6, 0]), group=4).tolist() == [2, 5, 8]


def test_halving(run, tmp_path, monkeypatch):
    """The front has networks that were judged on all images only, also when the search was interrupted anywhere."""
    config = tmp_path / "search.yaml"
    accuracy = "{calibration_images: 128, halving: 2}"
    objectives = "objectives: [accuracy, params]\nevaluations: 32\nmethod: {kind: random}\n"
    config.write_text(f"supernet: {run}\n{objectives}accuracy: {accuracy}\n")
    assert search_command(str(config), [], tmp_path / "whole") == 0
    rows = list(csv.DictReader((tmp_path / "whole" / "front.csv").open()))
    judge, codes = SupernetJudge(str(run), QUICK), Codes(load_space("tiny"))
    for row in rows:
        code = np.array(row["code"].split(), dtype=np.int32)
        assert float(row["accuracy %"]) == judge([Task(codes.spec(code))])[0]
    url = f"sqlite:///{tmp_path / 'whole' / 'study.db'}"
    studies = {name: optuna.load_study(study_name=name, storage=url) for name in optuna.get_all_study_names(url)}
    trials = {name: len(study.trials) for name, study in studies.items()}
    assert trials == {"search on 0.25 of the images": 32, "search on 0.5 of the images": 16, "search": 8}

    calls, real = [0], SupernetJudge.__call__

    def interrupted(self, tasks):
        calls[0] += 1
        if calls[0] % 9 == 0:
            raise KeyboardInterrupt
        return real(self, tasks)

    monkeypatch.setattr(SupernetJudge, "__call__", interrupted)
    while search_command(str(config), [], tmp_path / "parts") == 130:
        assert calls[0] < 100
    assert calls[0] > 56
    assert (tmp_path / "parts" / "front.csv").read_text() == (tmp_path / "whole" / "front.csv").read_text()


def test_a_function_has_no_images(tmp_path):
    config = tmp_path / "search.yaml"
    config.write_text("space: tiny\naccuracy: {function: 'tests.made_up_accuracy:accuracy', halving: 1}\n")
    with pytest.raises(SpecError, match=r"accuracy\.halving: a function has no images"):
        search_command(str(config), [], tmp_path / "run")
