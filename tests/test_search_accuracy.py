"""How good networks are said to be: on a trained supernet, and by halving."""

import csv
import importlib
import sys
from pathlib import Path

import numpy as np
import optuna
import pytest

from search.accuracy import FunctionJudge, SupernetJudge, Task, fingerprint, images_on, number_of_images
from search.codes import Codes, keys
from search.command import search_command
from search.config import METHODS, AccuracyConfig, PredictorConfig, SearchConfig
from search.costs import Costs
from search.halving import better_half, shares
from search.methods import make_method
from search.problem import Problem
from supernet import SpecError, load_space
from supernet.values import UserError
from tests.made_up_accuracy import one
from training.evaluation import evaluate_member
from training.loop import train
from training.reading import load_config
from training.supernet_folder import load_supernet

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
    return folder


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
    """Of each four; of equal ones the first; a single one stays. What it costs counts, and what limits say."""
    assert shares(2) == [0.25, 0.5, 1.0]
    assert shares(0) == [1.0]
    accuracy = np.array([3.0, 1, 4, 2, 5, 5, 5, 5, 0])
    rows = better_half(np.arange(9), -accuracy[:, None], np.zeros(9), group=4)
    assert rows.tolist() == [0, 2, 4, 5, 8]
    again = -np.array([3.5, 4, 5, 6, 0])[:, None]
    assert better_half(rows, again, np.zeros(5), group=4).tolist() == [2, 5, 8]
    losses = np.stack([-accuracy[:4], np.array([30.0, 2, 40, 20])], axis=1)
    assert better_half(np.arange(4), losses, np.zeros(4), group=4).tolist() == [1, 2], "the ends of the front"
    assert better_half(np.arange(4), losses, np.array([0, 1.0, 2, 0]), group=4).tolist() == [0, 3]


@pytest.mark.slow
def test_halving(run, tmp_path, monkeypatch):
    """The front has networks that were judged on all images only, also when the search was interrupted anywhere."""
    config = tmp_path / "search.yaml"
    accuracy = "{calibration_images: 128, halving: 2}"
    objectives = "objectives: [accuracy, params]\nevaluations: 16\nmethod: {kind: random}\n"
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
    assert trials == {"search on 0.25 of the images": 16, "search on 0.5 of the images": 8, "search": 4}
    images = {
        name: {trial.user_attrs["network"]["images"] for trial in study.trials} for name, study in studies.items()
    }
    assert images == {"search on 0.25 of the images": {50}, "search on 0.5 of the images": {100}, "search": {200}}

    calls, real = [0], SupernetJudge.__call__

    def interrupted(self, tasks):
        calls[0] += 1
        if calls[0] % 5 == 0:
            raise KeyboardInterrupt
        return real(self, tasks)

    monkeypatch.setattr(SupernetJudge, "__call__", interrupted)
    while search_command(str(config), [], tmp_path / "parts") == 130:
        assert calls[0] < 100
    assert calls[0] > 28
    assert (tmp_path / "parts" / "front.csv").read_text() == (tmp_path / "whole" / "front.csv").read_text()


def test_a_function_has_no_images(tmp_path):
    config = tmp_path / "search.yaml"
    config.write_text("space: tiny\naccuracy: {function: 'tests.made_up_accuracy:accuracy', halving: 1}\n")
    with pytest.raises(SpecError, match=r"accuracy\.halving: a function has no images"):
        search_command(str(config), [], tmp_path / "run")


def test_few_images_are_counted(run):
    number = number_of_images
    assert number(str(run), QUICK) == 200
    assert number(str(run), AccuracyConfig(images=30)) == 30
    assert number(str(run), AccuracyConfig(images=3000)) == 200
    validation = number(str(run), AccuracyConfig(split="validation"))
    assert validation == SupernetJudge(str(run), AccuracyConfig(split="validation")).images
    assert [images_on(share, 30) for share in shares(2)] == [8, 15, 30]
    assert number("", AccuracyConfig(function="a:b")) == images_on(0.5, 0) == 0


@pytest.mark.parametrize("kind", ["random", "evolution", "slimming", "optuna", "guided"])
def test_methods_are_told_of_what_was_judged(kind):
    """What was dropped is told as such, and not asked for again."""
    problem = Problem(Costs(load_space("tiny")), ("accuracy", "params"))
    predictor = PredictorConfig(start=16, candidates=200) if kind == "guided" else None
    options = {"population": 8} if kind in ("evolution", "guided") else {}
    chosen = next(one for one in METHODS if one.kind_name() == (kind if kind != "guided" else "evolution"))
    method = make_method(SearchConfig(method=chosen(**options), evaluations=48, predictor=predictor), problem)
    asked: list[bytes] = []
    while len(asked) < 48:
        codes = method.ask(48 - len(asked))
        asked += keys(codes)
        kept = np.arange(max(1, len(codes) // 2))
        accuracy = np.array([one(problem.codes.spec(code)) for code in codes[kept]])
        method.tell(codes[kept], accuracy)
        if len(codes) > len(kept):
            method.drop(codes[len(kept) :])
    assert len(set(asked)) == 48


@pytest.mark.parametrize("name", ["partial", "Callable", "builtin"])
def test_anything_that_can_be_called(name, tmp_path):
    where = f"tests.made_up_accuracy:{ {'partial': 'of_these', 'Callable': 'judge', 'builtin': 'built_in'}[name] }"
    assert fingerprint("", load_space("tiny"), AccuracyConfig(function=where))["function"]
    spec = load_space("tiny").largest()
    if name != "builtin":
        assert FunctionJudge(where)([Task(spec)]) == [one(spec)]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("    return [150.0 for _ in specs]", r"accuracy\.function: it gave 150\.0; an accuracy is a percentage"),
        ("    return [-3 for _ in specs]", r"accuracy\.function: it gave -3; an accuracy"),
        ("    return [True for _ in specs]", r"accuracy\.function: it gave True; an accuracy"),
        ("    return ['91' for _ in specs]", r"accuracy\.function: it gave '91'; an accuracy"),
        ("    return [float('nan') for _ in specs]", r"accuracy\.function: it gave nan; an accuracy"),
        ("    return None", r"accuracy\.function: it gave None for 1 spec"),
        ("    return '9'", r"accuracy\.function: it gave '9' for 1 spec"),
        (
            "    return 1 / 0",
            r"accuracy\.function: wrong_worth:worth failed with ZeroDivisionError: .* \(wrong_worth\.py, line 2\)",
        ),
        ("    return )", r"accuracy\.function: 'wrong_worth:worth' can't be read: SyntaxError"),
        ("    return 1\n1 / 0", r"accuracy\.function: 'wrong_worth:worth' can't be read: ZeroDivisionError"),
    ],
)
def test_a_function_that_is_wrong(body, words, tmp_path, monkeypatch):
    """One line that names it, and no folder where it is found out before."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "wrong_worth", raising=False)
    (tmp_path / "wrong_worth.py").write_text(f"def worth(specs):\n{body}\n")
    importlib.invalidate_caches()
    config = tmp_path / "search.yaml"
    config.write_text("space: tiny\nevaluations: 4\naccuracy: {function: 'wrong_worth:worth'}\n")
    with pytest.raises(UserError, match=words):
        search_command(str(config), [], tmp_path / "run")
    assert (tmp_path / "run").exists() == ("can't be read" not in words)
