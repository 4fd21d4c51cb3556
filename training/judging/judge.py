"""Networks judged one after the other on the same images. What is known about one is written before the next begins."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import torch

from supernet import SpecError
from supernet.options import Size
from supernet.values import first_line, printable, show

from ..precision import Precision, set_up
from ..processes import Processes
from ..progress import table
from .comparison import write_comparison
from .config import JudgingConfig
from .drawing import check_matplotlib
from .files import write_report
from .images import Images, Split
from .models import Model, open_model
from .progress import watched
from .report import Report
from .scores import ScoresError, class_scores
from .throughput import throughput


def judge_models(
    names: Sequence[str],
    config: JudgingConfig,
    *,
    weights: str | Path | None = None,
    resolution: int | Size | None = None,
    crop_pct: float | None = None,
    split: Split = "validation",
    out: Path | None = None,
    us: Processes | None = None,
    results: TextIO | None = None,
    progress: TextIO | None = None,
) -> list[Report]:
    """`names` and `weights` as for `open_model`; what is not said is as each model was trained.

    One line for each model goes to `results`, and the table of several; how it goes to `progress`. The files of one
    model lie in `out`, of several in a folder each, beside the table of all.
    """
    us = us or Processes()
    results, progress = results or sys.stdout, progress or sys.stderr
    if weights is not None and len(names) != 1:
        raise SpecError("--weights", f"is the file of one model, and {len(names)} are named")
    if out is not None and us.is_main:
        check_matplotlib()
        _make(out)
    precision = set_up(config.precision, us.device)
    models = _with_names_apart([open_model(name, weights=weights, resolution=resolution) for name in names], names)
    images = Images(config, split, us)
    for model in models:
        images.check(model, crop_pct)
    reports: list[Report] = []
    for model, folder in zip(models, _folders(models, out), strict=True):
        report = _judge(model, crop_pct, images, precision, us, progress)
        reports.append(report)
        if us.is_main:
            print(_line(report), file=results, flush=True)
            if out is not None and folder is not None:
                _write(reports, folder, out)
    if us.is_main and len(reports) > 1:
        print(f"\n{table([report.row() for report in reports])}", file=results, flush=True)
    return reports


def _judge(
    model: Model, crop_pct: float | None, images: Images, precision: Precision, us: Processes, progress: TextIO
) -> Report:
    data = images.of(model, crop_pct)
    net = precision.place_net(model.net)
    mine = -(-images.count(data) // us.world)
    batches = watched(images.batches(data, model.size), mine, printable(model.name), progress if us.is_main else None)
    try:
        scores, confusion = class_scores(net, batches, data.num_classes, precision, us)
        batch_size = min(64, images.config.data.eval_batch_size)
        speed = throughput(net, model.size, in_chans=model.in_chans, batch_size=batch_size, precision=precision)
    except ScoresError as error:
        raise SpecError(printable(model.name), str(error)) from None
    except torch.OutOfMemoryError as error:
        rule = f"{images.config.data.eval_batch_size:,} images are too many for the GPU: {first_line(error)}"
        raise SpecError("data.eval_batch_size", rule) from None
    model.net.to("cpu")
    names = data.classes or model.classes or tuple(map(str, range(data.num_classes)))
    settings = {
        "split": images.split,
        "source": images.config.data.source,
        "path": printable(images.config.data.path),
        "unreadable": images.count(data) - scores.images,
        "crop_pct": model.crop_pct if crop_pct is None else crop_pct,
        "amp": precision.amp,
        "channels_last": precision.channels_last,
        "device": torch.cuda.get_device_name(precision.device) if precision.device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    return Report(model, scores, confusion, speed, tuple(map(printable, names)), settings)


def _line(report: Report) -> str:
    scores, speed = report.scores, report.throughput
    right = f"top-1 {scores.top1:.2f} %, top-5 {scores.top5:.2f} %, loss {scores.loss:.4f}, {scores.images:,} images"
    fast = f"{speed.images_per_second:,.0f} images/s ± {speed.spread:.1%} in batches of {speed.batch_size}"
    return f"{printable(report.model.name)}: {right}; {fast}"


def _with_names_apart(models: Sequence[Model], given: Sequence[str]) -> list[Model]:
    """Folders may have one name in different places: then all of it is said."""
    repeated = [name for name in given if list(given).count(name) > 1]
    if repeated:
        raise SpecError("--evaluate", f"{show(repeated[0])} is named twice")
    names = [model.name for model in models]
    return [
        replace(model, name=path) if names.count(model.name) > 1 else model
        for model, path in zip(models, given, strict=True)
    ]


def _folders(models: Sequence[Model], out: Path | None) -> Iterable[Path | None]:
    if out is None or len(models) == 1:
        return [out] * len(models)
    found: list[Path] = []
    for model in models:
        plain = re.sub(r"[^\w.+-]+", "_", model.name).strip("._") or "model"
        folder, number = out / plain, 2
        while folder in found:
            folder, number = out / f"{plain}_{number}", number + 1
        found.append(folder)
    return found


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpecError("--out", f"{printable(str(out))} can't be made: {error.strerror}") from None


def _write(reports: Sequence[Report], folder: Path, out: Path) -> None:
    try:
        write_report(reports[-1], folder)
        if folder != out:
            write_comparison(reports, out)
    except OSError as error:
        raise SpecError(
            "--out", f"{printable(str(error.filename or out))} can't be written: {error.strerror}"
        ) from None
