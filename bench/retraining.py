"""Throughput of retraining beside timm's training script: one network, one set of JPEG files, the same settings.

    python bench/retraining.py [--network iformer_t] [--rounds 4]

timm's side is the loop of its train.py with its own loader, transforms, mixup, optimiser and averaged weights. Rounds
of both follow each other in this process. Each is an epoch, timed from the end of its first step to that of its last,
in seconds of the processor.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from timm.data import Mixup, create_dataset, create_loader
from timm.loss import SoftTargetCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler
from timm.utils import AverageMeter, ModelEmaV3

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.timing import clock
from training.loop import train
from training.network_config import NetworkConfig
from training.network_subject import NetworkSubject
from training.reading import parse_network_config

CLASSES = 8
RATE, DECAY, EMA = 1e-3, 0.05, 0.999
AUGMENT = "rand-m5-n2"


def write_images(folder: Path, number: int) -> None:
    """Noise of low frequency, so that files are as large as photographs."""
    rng = np.random.default_rng(0)
    for index in range(number):
        coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        for split in ("train", "validation"):
            path = folder / split / str(index % CLASSES) / f"{index}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            if split == "train" or index < CLASSES:
                coarse.resize((500, 375), Image.Resampling.BICUBIC).save(path, quality=90)


def ours(settings: NetworkConfig, folder: Path) -> list[float]:
    """When each step was finished."""
    moments, step = [], NetworkSubject.step

    def timed(self: NetworkSubject, *arguments: object) -> object:
        outcome = step(self, *arguments)  # type: ignore[arg-type]
        moments.append(clock())
        return outcome

    NetworkSubject.step = timed  # type: ignore[method-assign, assignment]
    try:
        train(settings, folder)
    finally:
        NetworkSubject.step = step  # type: ignore[method-assign]
    return moments


def theirs(network: str, data: Path, batch: int, workers: int) -> list[float]:
    dataset = create_dataset("", str(data), split="train", is_training=True)
    loader = create_loader(
        dataset,
        (3, 224, 224),
        batch,
        is_training=True,
        no_aug=False,
        re_prob=0.25,
        re_mode="pixel",
        auto_augment=AUGMENT,
        color_jitter=None,
        interpolation="bicubic",
        num_workers=workers,
        use_prefetcher=False,
        device=torch.device("cpu"),
        persistent_workers=False,
    )
    mixup = Mixup(mixup_alpha=0.8, cutmix_alpha=1.0, label_smoothing=0.1, num_classes=CLASSES)
    model = timm.create_model("slimformer", spec=network, num_classes=CLASSES).train()
    optimizer = create_optimizer_v2(model, opt="adamw", lr=RATE, weight_decay=DECAY)
    scheduler = CosineLRScheduler(optimizer, t_initial=len(loader), lr_min=1e-5, t_in_epochs=False)
    loss_fn, average, meter, moments = SoftTargetCrossEntropy(), ModelEmaV3(model, decay=EMA), AverageMeter(), []
    for update, (images, labels) in enumerate(loader):
        images, targets = mixup(images, labels)
        loss = loss_fn(model(images), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        average.update(model, step=update)
        meter.update(loss.item(), images.size(0))
        scheduler.step_update(num_updates=update, metric=meter.avg)
        moments.append(clock())
    return moments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="iformer_t", help="a published name (default iformer_t)")
    parser.add_argument("--batch", type=int, default=16, help="images of a step (default 16)")
    parser.add_argument("--steps", type=int, default=10, help="of a round (default 10)")
    parser.add_argument("--rounds", type=int, default=4, help="of each side (default 4)")
    parser.add_argument("--workers", type=int, default=0, help="processes that read images (default 0)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder / "data", args.batch * args.steps)
        settings = parse_network_config(f"""
            spec: {args.network}
            data: {{source: folder, path: {folder / "data"}, batch_size: {args.batch}, workers: {args.workers}}}
            augment: {{randaugment: {AUGMENT}, erase: 0.25, mixup: 0.8, cutmix: 1}}
            step: {{label_smoothing: 0.1}}
            optimizer: {{lr: {RATE}, weight_decay: {DECAY}}}
            schedule: {{epochs: 1, warmup_epochs: 0, min_lr: 1.0e-5}}
            ema: {EMA}
            precision: {{threads: 1, device: cpu}}
            log: {{tensorboard: false, every: {args.steps}}}
            """)
        sides: dict[str, Callable[[int], list[float]]] = {
            "timm": lambda _: theirs(args.network, folder / "data" / "train", args.batch, args.workers),
            "slimformer": lambda number: ours(settings, folder / f"run{number}"),
        }
        speeds: dict[str, list[float]] = {side: [] for side in sides}
        for number in range(args.rounds):
            for side, run in sides.items():
                moments = run(number)
                speeds[side].append(args.batch * (len(moments) - 1) / (moments[-1] - moments[0]))
                print(f"round {number + 1} {side}: {speeds[side][-1]:.2f} images/s", flush=True)
    ratios = [mine / other for mine, other in zip(speeds["slimformer"], speeds["timm"], strict=True)]
    for side, found in speeds.items():
        print(f"{side}: median {statistics.median(found):.2f} images/s")
    print(f"ratio of each round, median: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
