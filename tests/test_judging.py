"""Networks judged on a data set: figures, files and pictures of one and of several, and what a wrong input gives."""

import csv
import functools
import io
import json
import logging
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import confusion_matrix

from supernet import SpecError, save_spec, save_weights
from supernet.values import printable
from tests.judged_runs import DIGITS, network, tiny_spec, write_run
from tests.making_data import png
from training.config import AugmentConfig, DataConfig
from training.data import DataError, open_data
from training.evaluation import Scores
from training.judging import (
    Confusion,
    JudgingConfig,
    Model,
    Report,
    Throughput,
    judge,
    judge_models,
    judging_config,
    throughput,
)
from training.judging.files import write_report

AUGMENT = AugmentConfig(crop_pct=1.0, mean=(0.3,) * 3, std=(0.35,) * 3)


@pytest.fixture(autouse=True)
def _short_rounds(monkeypatch):
    monkeypatch.setattr(judge, "throughput", functools.partial(throughput, rounds=3, round_s=0.001))


def judged(names, overrides=(), **options):
    names = [str(name) for name in names]
    results = io.StringIO()
    reports = judge_models(names, judging_config(names, overrides), results=results, progress=io.StringIO(), **options)
    return reports, results.getvalue()


def answers_of(net, split="validation"):
    """Labels and answers, computed without the code under test."""
    data = open_data(DataConfig(source="digits", held_out=50), AUGMENT, seed=0)
    size = net.spec.size
    batches = {
        "validation": lambda: data.validation_batches(size),
        "held_out": lambda: data.held_out_batches(size),
        "train": lambda: data.calibration_batches(size, data.num_train),
    }[split]()
    with torch.no_grad():
        found = [(labels, net(images).argmax(1)) for images, labels in batches]
    return [torch.cat(part).numpy() for part in zip(*found, strict=True)]


@pytest.mark.parametrize("split", ["validation", "held_out", "train"])
def test_a_run_on_its_own_images(tmp_path, split):
    net = write_run(tmp_path / "run")
    (report,), said = judged([tmp_path / "run"], split=split, out=tmp_path / "out")
    labels, answers = answers_of(net, split)
    assert {"validation": 359, "held_out": 50, "train": 1388}[split] == len(labels) == report.scores.images
    assert len(set(answers)) > 3
    with (tmp_path / "out/confusion.csv").open() as file:
        head, *rows = csv.reader(file)
    assert head == ["class", *DIGITS]
    assert [row[0] for row in rows] == list(DIGITS)
    assert np.array_equal(np.array([row[1:] for row in rows], int), confusion_matrix(labels, answers))
    figures = json.loads((tmp_path / "out/evaluation.json").read_text())
    assert figures["top1"] == pytest.approx(100 * np.mean(labels == answers), abs=1e-3)
    assert (figures["split"], figures["crop_pct"], figures["size"]) == (split, 1.0, [16, 16])
    assert figures["throughput"]["images_per_second"] > 0
    assert figures["params_m"] > 0
    assert said.startswith(f"run: top-1 {figures['top1']:.2f} %")
    assert said.count("\n") == 1


def test_classes_of_a_run(tmp_path):
    net = write_run(tmp_path / "run")
    judged([tmp_path / "run"], out=tmp_path / "out")
    labels, answers = answers_of(net)
    with (tmp_path / "out/per_class.csv").open() as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        own = answers[labels == number]
        counts = np.bincount(own, minlength=10)
        wrong = np.where(np.arange(10) == number, -1, counts)
        assert (row["class"], int(row["images"])) == (str(number), len(own))
        assert float(row["top-1 %"]) == pytest.approx(100 * counts[number] / len(own), abs=1e-3)
        assert wrong[int(row["mistaken for"])] == wrong.max()
        assert float(row["in % of its images"]) == pytest.approx(100 * wrong.max() / len(own), abs=1e-3)


@pytest.mark.slow
def test_several_in_one_table(tmp_path):
    for name, seed in (("one/run", 1), ("two/run", 2)):
        write_run(tmp_path / name, seed=seed)
    save_weights(network(tiny_spec(), seed=3), tmp_path / "weights.pth")
    names = [str(tmp_path / "one/run"), str(tmp_path / "two/run")]
    reports, said = judged(names, out=tmp_path / "out", resolution=24)
    assert [report.model.name for report in reports] == names
    assert reports[0].scores != reports[1].scores
    with (tmp_path / "out/table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["model", "top-1 %", "top-5 %", "loss", "params M", "MACs M", "size px", "images/s"]
    assert [row["model"] for row in rows] == names
    assert [row["size px"] for row in rows] == ["24", "24"]
    assert [float(row["top-1 %"]) for row in rows] == [round(report.scores.top1, 3) for report in reports]
    lines = (tmp_path / "out/table.md").read_text().splitlines()
    assert [line.count("|") for line in lines] == [9] * 4
    assert said.splitlines()[-1].startswith(names[1])
    ElementTree.parse(tmp_path / "out/comparison.svg")  # noqa: S314  our own
    folders = [path.parent.name for path in sorted((tmp_path / "out").glob("*/evaluation.json"))]
    assert len(folders) == 2


@pytest.mark.slow
def test_what_is_known_survives_an_interruption(tmp_path, monkeypatch):
    for name in ("one", "two", "three"):
        write_run(tmp_path / name)
    measured = []

    def stopped(*arguments, **options):
        if len(measured) == 2:
            raise KeyboardInterrupt
        measured.append(arguments)
        return Throughput(10.0, 0.0, 1, (10.0,))

    monkeypatch.setattr(judge, "throughput", stopped)
    with pytest.raises(KeyboardInterrupt):
        judged([tmp_path / "one", tmp_path / "two", tmp_path / "three"], out=tmp_path / "out")
    assert len((tmp_path / "out/table.csv").read_text().splitlines()) == 3
    assert {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()} == {"one", "two"}


def test_each_model_sees_images_as_it_knows_them(tmp_path):
    write_run(tmp_path / "bright", mean=(0.1, 0.1, 0.1))
    write_run(tmp_path / "dark")
    together, _ = judged([tmp_path / "bright", tmp_path / "dark"])
    alone = [judged([tmp_path / name])[0][0] for name in ("bright", "dark")]
    assert [report.scores for report in together] == [report.scores for report in alone]
    assert together[0].scores.loss != together[1].scores.loss
    cropped, _ = judged([tmp_path / "dark"], crop_pct=0.5)
    assert cropped[0].scores.loss != alone[1].scores.loss
    assert cropped[0].settings["crop_pct"] == 0.5


def test_a_spec_on_data_that_are_named(tmp_path):
    net = network(tiny_spec(), seed=4)
    save_weights(net, tmp_path / "w.safetensors")
    save_spec(net.spec, tmp_path / "net.yaml")
    (report,), _ = judged([tmp_path / "net.yaml"], ["data.source=digits"], weights=tmp_path / "w.safetensors")
    assert report.model.weights.endswith("w.safetensors")
    assert report.scores.images == 359
    assert report.names == DIGITS


def test_names_that_differ_are_said(tmp_path, caplog):
    write_run(tmp_path / "run", classes=(*"0123", "vier", *"56789"))
    with caplog.at_level(logging.WARNING, "training"):
        judged([tmp_path / "run"])
    (warning,) = [record.getMessage() for record in caplog.records if "classes.txt" in record.getMessage()]
    assert "first class 4: 'vier' there, '4' in the data" in warning


def write_folder(root, classes):
    for split in ("train", "validation"):
        for number, name in enumerate(classes):
            path = root / split / name / "image.png"
            path.parent.mkdir(parents=True)
            path.write_bytes(png(number))


@pytest.mark.parametrize(
    ("classes", "options", "said"),
    [
        (("only",), {}, "data: its images are all of one class"),
        (("a", "b"), {}, "run: knows 10 classes, and the data have 2"),
        (None, {"weights": "w.pth", "names": 2}, "--weights: is the file of one model, and 2 are named"),
        (None, {"crop_pct": 1.5}, "--crop-pct: 1.5 is not a number from 0.1 to 1"),
        (None, {"split": "held_out", "set": "data.held_out=0"}, "--split: no images are held out"),
        (None, {"split": "held_out", "set": "seed=1"}, "--split: run was trained on some of these images"),
        (None, {"resolution": 5}, "--resolution: run: resolution: 5 is not a number from 16"),
        (None, {"out": "run/spec.yaml"}, "--out: .*spec.yaml can't be made"),
        (None, {"set": "step.dropout=1"}, "--set step.dropout=1: there is no field 'step' in an evaluation"),
    ],
)
def test_wrong_inputs(tmp_path, classes, options, said):
    write_run(tmp_path / "run")
    write_run(tmp_path / "run2")
    overrides = [options.pop("set")] if "set" in options else []
    names = [tmp_path / "run", tmp_path / "run2"][: options.pop("names", 1)]
    if classes is not None:
        write_folder(tmp_path / "data", classes)
        overrides += ["data.source=folder", f"data.path={tmp_path / 'data'}", "data.held_out=0"]
    for option in {"weights", "out"} & set(options):
        options[option] = tmp_path / options[option]
    with pytest.raises(SpecError, match=said) as error:
        judged(names, overrides, **options)
    assert "\n" not in str(error.value)


def test_images_that_cant_be_read(tmp_path):
    write_run(tmp_path / "run", spec=tiny_spec(num_classes=2), classes=("a", "b"))
    write_folder(tmp_path / "data", ("a", "b"))
    for path in (tmp_path / "data/validation").glob("*/*"):
        path.write_bytes(b"no image")
    overrides = ["data.source=folder", f"data.path={tmp_path / 'data'}", "data.held_out=0", "data.workers=0"]
    with pytest.raises(DataError, match="no images to evaluate, or none could be read"):
        judged([tmp_path / "run"], overrides)


def test_unreadable_images_are_left_out_and_counted(tmp_path):
    for name in ("one", "two"):
        write_run(tmp_path / name, spec=tiny_spec(num_classes=2), classes=("a", "b"))
    write_folder(tmp_path / "data", ("a", "b"))
    (tmp_path / "data/validation/b/image.png").write_bytes(b"no image")
    overrides = ["data.source=folder", f"data.path={tmp_path / 'data'}", "data.held_out=0", "data.workers=0"]
    reports, _ = judged([tmp_path / "one", tmp_path / "two"], overrides)
    assert [(report.scores.images, report.settings["unreadable"]) for report in reports] == [(1, 1)] * 2


def test_without_data(tmp_path):
    with pytest.raises(SpecError, match="--set: on which images"):
        judging_config(["iformer_t"])
    assert judging_config(["iformer_t"], ["data.source=digits"]) == JudgingConfig(data=DataConfig(source="digits"))


def test_outputs_that_are_no_numbers(tmp_path):
    net = write_run(tmp_path / "run")
    with torch.no_grad():
        next(net.parameters()).fill_(float("nan"))
    save_weights(net, tmp_path / "run/model.safetensors")
    with pytest.raises(SpecError, match="run: its outputs are not finite numbers"):
        judged([tmp_path / "run"])


LONG = "a class whose name, which somebody must have thought about for long, goes on, and on"
ODD = ("größe", "猫", "$x$ | y", "emoji 🐈", "line\nbreak", LONG, "\udce9", "{", "&<>", "кошка")


def made_report(classes, names):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(1, classes), 4)  # of the first class there are no images
    answers = np.where(rng.random(len(labels)) < 0.7, labels, rng.integers(0, classes, len(labels)))
    model = Model("猫 $x$", torch.nn.Identity(), (8, 9), (0.5,) * 3, (0.5,) * 3, 1.0, "bicubic", classes, 10, None, "w")
    scores = Scores(100 * float(np.mean(labels == answers)), 99.0, 0.5, len(labels))
    confusion = Confusion.of(classes, labels, answers)
    return Report(model, scores, confusion, Throughput(5.0, 0.0, 1, (5.0,)), tuple(map(printable, names)), {})


@pytest.mark.parametrize(
    "classes", [2, 10, pytest.param(61, marks=pytest.mark.slow), pytest.param(1000, marks=pytest.mark.slow)]
)
@pytest.mark.filterwarnings("error")
def test_pictures_of_any_classes(tmp_path, classes):
    report = made_report(classes, (ODD * 100)[:classes])
    write_report(report, tmp_path)
    for name in ("confusion", "per_class"):
        ElementTree.parse(tmp_path / f"{name}.svg")  # noqa: S314  our own
        image = np.asarray(Image.open(tmp_path / f"{name}.png").convert("L"))
        assert 0.01 < (image < 200).mean() < 0.6, "neither empty nor all dark"
        assert (image[[0, -1]] == 255).all(), "cut off above or below"
        assert (image[:, [0, -1]] == 255).all(), "cut off at a side"
    with (tmp_path / "confusion.csv").open(encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    if classes <= 200:
        assert len(head) == classes + 1
        assert len(rows) == classes
    else:
        assert head == ["class", "mistaken for", "images", "in % of its images"]
        counts = [int(row[2]) for row in rows]
        assert counts == sorted(counts, reverse=True)
        assert sum(counts) == np.count_nonzero(report.confusion.labels != report.confusion.answers) or len(rows) == 1000
    with (tmp_path / "per_class.csv").open(encoding="utf-8") as file:
        first = next(csv.DictReader(file))
    assert (first["class"], first["images"], first["top-1 %"], first["mistaken for"]) == ("größe", "0", "", "")


def test_pictures_are_functions_of_figures(tmp_path):
    for name in ("one", "other"):
        write_report(made_report(3, ODD[:3]), tmp_path / name)
    for name in ("confusion.svg", "per_class.svg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
