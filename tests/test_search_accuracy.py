"""How good networks are said to be: on a trained supernet, and by halving."""

import gc
from pathlib import Path

import pytest

from search.accuracy import SupernetJudge, Task, fingerprint
from search.config import AccuracyConfig
from search.halving import Halving
from search.workers import Here
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
    assert [judge(Task(spec)), judge(Task(spec))] == [scores.top1] * 2
    part = judge(Task(spec, 0.25))
    assert part == pytest.approx(round(part / 2) * 2), "50 images give steps of 2 points"
    few = SupernetJudge(str(run), AccuracyConfig(split="validation", images=40, calibration_images=128))
    assert few.images == 40
    assert few(Task(spec)) * 0.4 == pytest.approx(round(few(Task(spec)) * 0.4))


def test_what_accuracies_depend_on(run):
    space = load_space("tiny")
    ours = fingerprint(str(run), space, QUICK)
    assert ours == fingerprint(str(run), space, QUICK)
    assert ours != fingerprint(str(run), space, AccuracyConfig(calibration_images=256))
    assert ours != fingerprint(str(run), space.restricted(("width",)), QUICK)


def test_images_that_nobody_held_out(run):
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("held_out: 200", "held_out: 0"))
    try:
        with pytest.raises(SpecError, match="held no training images out"):
            SupernetJudge(str(run), QUICK)
    finally:
        (run / "config.yaml").write_text(config)


def test_halving():
    """Of four, two go on to half of the images, and one to all; in two groups, of which the second is not full."""
    asked = []

    def judge(task):
        asked.append((task.spec, task.share))
        return task.spec + task.share

    results = list(Halving(Here(judge), rungs=2, group=4).evaluate([Task(worth) for worth in (3, 1, 4, 2, 9)]))
    assert asked[:7] == [(3, 0.25), (1, 0.25), (4, 0.25), (2, 0.25), (3, 0.5), (4, 0.5), (4, 1.0)]
    assert asked[7:] == [(9, 0.25), (9, 0.5), (9, 1.0)]
    assert [(one.position, one.accuracy) for one in results] == [(0, 3.5), (1, 1.25), (2, 5), (3, 2.25), (4, 10)]
