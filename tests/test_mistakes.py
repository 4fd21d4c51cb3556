"""The likeliest mistakes, which stand in mistakes.txt, as a user makes them: one clear sentence, and exit status 2."""

import contextlib
import errno
import functools
import platform
import shutil
import socket
import sqlite3
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from PIL import Image

from deploy import quiet
from latency_lut.devices import iphone
from latency_lut.devices.iphone import measure_on_iphone
from latency_lut.phone.archive import pack
from search.storage import connecting
from supernet import load_space, save_spec
from tests.making_data import png, write_classes
from tests.mistakes import MANUAL, ROOT, manual, read_mistakes, said, typed
from tests.phone_jobs import make_job
from tests.phone_world import LOCKED, World, device
from training import checkpoint
from training.claim import claimed
from training.setting import Training

MISTAKES = read_mistakes()
SHORT = {
    "data": {"source": "digits", "batch_size": 8, "held_out": 1370, "workers": 0},
    "schedule": {"epochs": 1, "warmup_epochs": 0},
    "step": {"sampled": 1},
    "evaluate": {"images": 50, "calibration_images": 50},
    "precision": {"threads": 1, "device": "auto"},
    "log": {"tensorboard": False},
}
QUICK = " ".join(f"--protocol {one}" for one in ("rounds=1", "burst_runs=3", "burst_ms=0", "drift=10", "warm_up=1"))
MINE = "def accuracies(specs):\n    return [50.0 for _ in specs]\n"


@pytest.fixture(autouse=True, scope="module")
def _mine_is_forgotten(process_as_before):
    sys.modules.pop("mine", None)
    yield
    sys.modules.pop("mine", None)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A user's folder: configs, images of all sorts, a run of each kind, a table, a plan, a search, a packed job."""
    folder = tmp_path_factory.mktemp("world")
    for name in ("configs/search", "configs/spaces"):
        shutil.copytree(ROOT / name, folder / name)
    usual = yaml.safe_load((ROOT / "configs" / "digits.yaml").read_text())
    (folder / "configs" / "digits.yaml").write_text(yaml.safe_dump(usual | SHORT))
    (folder / "mine.py").write_text(MINE)
    (folder / "tab.yaml").write_text("family: iformer\n\tresolution: 224\n")
    save_spec(load_space("tiny").smallest(), folder / "best.yaml")
    (folder / "even.yaml").write_text(
        (folder / "best.yaml").read_text().replace("kernel: 3, expand: 2", "kernel: 4, expand: 2")
    )
    _images(folder)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend(folder)
        digits = "--recipe digits " + " ".join(
            f"--set {one}"
            for one in ("schedule.epochs=1", "schedule.warmup_epochs=0", "data.batch_size=256", "ema=null")
        )
        for command in (
            "python train_supernet.py configs/digits.yaml --out runs/digits",
            f"python retrain.py best.yaml {digits} --set log.tensorboard=false --out runs/best",
            "python -m deploy export runs/best --to onnx --out best.onnx",
            "python -m latency_lut plan tiny --networks 8 --out plan",
            f"python -m latency_lut measure plan --device torch --table host.sqlite {QUICK}",
            "python search.py configs/search/digits.yaml --set supernet= --set space=tiny --set evaluations=2 "
            "--set accuracy.function=mine:accuracies --out searches/old",
        ):
            assert typed(command, monkeypatch) == 0
    _spoilt(folder)
    return folder


def _images(folder):
    for name, classes in {"photos": ("cat", "dog"), "other": ("cat", "cow")}.items():
        write_classes("folder", folder / name, "train", [(one, i) for one in ("cat", "dog") for i in range(20)])
        write_classes("folder", folder / name, "validation", [(one, i) for one in classes for i in range(20)])
    for split in ("train", "validation"):
        (folder / "empty" / split / "cat").mkdir(parents=True)
        (folder / "empty" / split / "cat" / "1.heic").write_bytes(b"of another kind")
        for number in range(20):
            for name, content in {"loose": png(number), "broken": b"no image"}.items():
                path = folder / name / split / ("cat" if name == "broken" else "") / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        (folder / "rows").mkdir(exist_ok=True)
        pq.write_table(pa.table({"img": [png(1)], "fine_label": [0]}), folder / "rows" / f"{split}.parquet")


def _spoilt(folder):
    shutil.copytree(folder / "runs" / "digits", folder / "runs" / "damaged")
    for path in (folder / "runs" / "damaged" / "checkpoints").glob("step_*.pt"):
        path.write_bytes(path.read_bytes()[:-100])
    shutil.copy(folder / "host.sqlite", folder / "newer.sqlite")
    with contextlib.closing(sqlite3.connect(folder / "newer.sqlite")) as table:
        table.execute("PRAGMA user_version = 99")
    (folder / "otherplan").mkdir()
    (folder / "otherplan" / "plan.json").write_text('{"format": 9}')
    (folder / "packed").mkdir()
    pack(make_job(folder / "packed"), folder / "job.tar")


# what stands beside a command


def _without(package):
    def begin(monkeypatch, _folder):
        quiet.coremltools.cache_clear()
        for name in {package, *(name for name in sys.modules if name.startswith(f"{package}."))}:
            monkeypatch.setitem(sys.modules, name, None)

    return begin


def _without_programs(monkeypatch, folder):
    monkeypatch.setenv("PATH", str(folder))


def _without_gpu(monkeypatch, _folder):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def _no_mac(_monkeypatch, _folder):
    if platform.system() == "Darwin":
        pytest.skip("here it would run")


def _phone(**state):
    def begin(monkeypatch, folder):
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        monkeypatch.setattr(iphone, "measure_on_iphone", functools.partial(measure_on_iphone, patience_s=0.2))
        World(folder, monkeypatch).set(**state)

    return begin


def _full_disk(monkeypatch, _folder):
    def write(*_):
        error = OSError(errno.ENOSPC, "No space left on device")
        error.needed_bytes = 10**15
        raise error

    monkeypatch.setattr(checkpoint, "write_state", write)


def _full_gpu(monkeypatch, _folder):
    def batches(_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(Training, "batches", batches)


def _little_patience(monkeypatch, _folder):
    monkeypatch.setattr(connecting, "OPENING_S", 0.5)


@contextlib.contextmanager
def _full_output(monkeypatch, _folder):
    with open("/dev/full", "w") as full, monkeypatch.context() as inner:
        inner.setattr(sys, "stdout", full)
        yield


@contextlib.contextmanager
def _another_run(_monkeypatch, _folder):
    with claimed(Path("runs/new"), "space.yaml"):
        yield


SITUATIONS = {
    "no GPU": _without_gpu,
    "no Mac": _no_mac,
    "no Xcode": _without_programs,
    "no Slurm": _without_programs,
    "no phone": _phone(devices=[]),
    "locked phone": _phone(devices=[device()], **{"process launch": [LOCKED] * 100}),
    "full disk": _full_disk,
    "full GPU": _full_gpu,
    "full output": _full_output,
    "another run there": _another_run,
    "little patience": _little_patience,
    **{f"no {package}": _without(package) for package in ("onnxruntime", "coremltools", "ray", "optuna")},
}


@pytest.fixture
def here(world, monkeypatch):
    """The user's folder; what a test made there is removed."""
    monkeypatch.chdir(world)
    yield world
    quiet.coremltools.cache_clear()
    for name in ("runs/new", "searches/new", "judged", "job_job"):
        shutil.rmtree(world / name, ignore_errors=True)
    (world / "t.sqlite").unlink(missing_ok=True)


@pytest.mark.parametrize("mistake", MISTAKES, ids=[f"{number} {one.typed[:60]}" for number, one in enumerate(MISTAKES)])
def test_a_mistake(mistake, here, tmp_path, monkeypatch, capsys):
    before = sorted(path for path in here.glob("*/*"))
    command = mistake.typed
    with contextlib.ExitStack() as opened:
        if mistake.when == "taken port":
            taken = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
            command = command.replace("TAKEN", str(taken.getsockname()[1]))
        elif mistake.when:
            begun = SITUATIONS[mistake.when](monkeypatch, tmp_path)
            if begun is not None:
                opened.enter_context(begun)
        capsys.readouterr()
        assert typed(command, monkeypatch) == 2
    line = said(capsys.readouterr().err)
    assert mistake.is_said(line), line
    assert len(mistake.typed) < 250
    left = {str(path.relative_to(here)) for path in sorted(here.glob("*/*")) if path not in before}
    assert left <= {"runs/new", "searches/new"} | {name for name in left if name.startswith("job_job")}


def test_there_are_forty():
    assert len({one.said for one in MISTAKES}) >= 40
    assert {one.when for one in MISTAKES if one.when} == {*SITUATIONS, "taken port"}


def test_the_manual_says_what_is_said():
    assert MANUAL.read_text() == manual(MISTAKES)
    assert len(MANUAL.read_text().splitlines()) <= 160


def test_what_looks_like_a_mistake_and_is_none(here, monkeypatch, capsys):
    """Grey images, palettes, transparency, large ones, a class that has no validation images, and 1e-3."""
    for split, classes in {"train": ("cat", "dog"), "validation": ("cat",)}.items():
        for name in classes:
            (folder := here / "odd" / split / name).mkdir(parents=True)
            for number, mode in enumerate(("L", "P", "RGBA", "1", "I;16", "CMYK")):
                image = Image.fromarray(np.full((40, 30), number, np.uint16 if mode == "I;16" else np.uint8))
                image = image if mode in ("L", "I;16") else image.convert(mode)
                image.save(folder / f"{number}.{'jpg' if mode == 'CMYK' else 'png'}")
            Image.new("L", (4000, 3000)).save(folder / "large.png")
    command = "python train_supernet.py configs/digits.yaml --out runs/new --set data.source=folder --set data.path=odd"
    assert typed(f"{command} --set data.held_out=0 --set optimizer.lr=1e-3", monkeypatch) == 0
    assert "unreadable" not in capsys.readouterr().err
    shutil.rmtree(here / "odd")
