"""Does a supernet rank networks as training each of them alone does?

    python bench/ranking.py RUN [RUN ...] --alone runs/alone --members 10

Takes random members of the space, trains each alone with the options of the first run (the same images, augmentation,
epochs, optimiser and averaging; no distillation, as nobody is there to learn from), and compares its accuracy with what
it has inside each run's supernet. Batch norms are calibrated in the same way everywhere. Results of members trained
alone are kept in the folder `--alone`: an interrupted start goes on, and a further run costs its evaluation only.
Kendall's tau and Spearman's rho come with 95 % intervals from resampling the members.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from timm.optim import create_optimizer_v2

sys.path.insert(0, str(Path(__file__).parent.parent))

from supernet import NetSpec, Space, build, count, save_spec
from training.calibration import calibrate
from training.data import Data, Mixer, open_data
from training.evaluation import evaluate, evaluate_member
from training.losses import soft_cross_entropy
from training.optimization import make_schedule, peak_lr
from training.supernet_config import SupernetConfig
from training.supernet_folder import load_supernet, read_setting

RESAMPLES = 10_000


def train_alone(spec: NetSpec, config: SupernetConfig, data: Data) -> float:
    """The top-1 of a plain network, after as many epochs as the supernet had."""
    torch.manual_seed(config.seed)
    net, averaged = build(spec), build(spec)
    averaged.load_state_dict(net.state_dict())
    options = config.optimizer
    optimizer = create_optimizer_v2(
        net, opt=options.name, lr=peak_lr(options, config.data.batch_size), weight_decay=options.weight_decay
    )
    schedule = make_schedule(optimizer, config.schedule, data.steps_per_epoch)
    mixer = Mixer(config.augment, data.num_classes, config.step.label_smoothing)
    step = 0
    for epoch in range(config.schedule.epochs):
        for number, (images, labels) in enumerate(data.train_batches(epoch, 0, lambda _: spec.size)):
            images, targets = mixer(images, labels, (config.seed, epoch, number, 0))
            schedule.step_update(step)
            optimizer.zero_grad()
            soft_cross_entropy(net(images), targets).backward()
            if options.clip is not None:
                torch.nn.utils.clip_grad_norm_(net.parameters(), options.clip)
            optimizer.step()
            step += 1
            decay = 0.0 if config.ema is None else min(config.ema, (1 + step) / (10 + step))
            with torch.no_grad():
                torch._foreach_lerp_(list(averaged.parameters()), list(net.parameters()), 1 - decay)
    calibrate(averaged, data.calibration_batches(spec.size, config.evaluate.calibration_images))
    return evaluate(averaged, data.validation_batches(spec.size, config.evaluate.images)).top1


def alone(members: list[NetSpec], space: Space, config: SupernetConfig, data: Data, folder: Path) -> list[float]:
    folder.mkdir(parents=True, exist_ok=True)
    results = folder / "results.jsonl"
    lines = results.read_text().splitlines() if results.exists() else []
    known = {tuple(row["code"]): row["top1"] for row in map(json.loads, lines)}
    for number, spec in enumerate(members):
        code = space.encode(spec)
        if code in known:
            continue
        start = time.monotonic()
        known[code] = train_alone(spec, config, data)
        save_spec(spec, folder / f"member_{number}.yaml")
        row = {"member": number, "code": code, "top1": known[code], "seconds": round(time.monotonic() - start)}
        with results.open("a") as file:
            print(json.dumps(row), file=file)
        print(json.dumps(row), flush=True)
    return [known[space.encode(spec)] for spec in members]


def inside(members: list[NetSpec], run: Path, data: Data) -> list[float]:
    config, _ = read_setting(run)
    net = load_supernet(run, best=False)
    return [
        evaluate_member(
            net,
            spec,
            lambda size: data.calibration_batches(size, config.evaluate.calibration_images),
            lambda size: data.validation_batches(size, config.evaluate.images),
        ).top1
        for spec in members
    ]


def agreement(first: list[float], second: list[float]) -> dict[str, list[float]]:
    """Each coefficient with the limits of its interval."""
    pairs = np.array([first, second])
    rng = np.random.default_rng(0)
    found = {}
    for name, coefficient in (("kendall", stats.kendalltau), ("spearman", stats.spearmanr)):
        drawn = [coefficient(*pairs[:, rng.integers(0, len(first), len(first))]).statistic for _ in range(RESAMPLES)]
        low, high = np.nanpercentile(drawn, [2.5, 97.5])
        found[name] = [round(float(value), 3) for value in (coefficient(*pairs).statistic, low, high)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of train_supernet.py; of one space")
    parser.add_argument("--alone", type=Path, required=True, help="folder of the members trained alone")
    parser.add_argument("--members", type=int, default=10, help="random members of the space (default 10)")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of members (default 0)")
    parser.add_argument("--json", action="store_true", help="one JSON object a run instead of a table")
    args = parser.parse_args()
    config, space = read_setting(args.runs[0])
    if config.precision.threads:
        torch.set_num_threads(config.precision.threads)
    data = open_data(config.data, config.augment, seed=config.seed, in_chans=space.in_chans)
    members = space.members(random.Random(f"{args.seed} ranking"), args.members)
    columns: dict[str, list[float]] = {"alone": alone(members, space, config, data, args.alone)}
    rows: list[dict[str, Any]] = []
    for run in args.runs:
        columns[run.name] = inside(members, run, data)
        mean = sum(columns[run.name]) / len(members)
        rows.append({"run": run.name, "mean_top1": mean, **agreement(columns[run.name], columns["alone"])})
    if args.json:
        print("\n".join(json.dumps(row | {"top1": columns[row["run"]], "alone": columns["alone"]}) for row in rows))
        return
    print(f"{'member':>6}{'params k':>10}{'MACs M':>8}" + "".join(f"{name:>12}" for name in columns))
    for number, spec in enumerate(members):
        counted = count(spec)
        scores = "".join(f"{column[number]:12.2f}" for column in columns.values())
        print(f"{number:>6}{counted.params / 1e3:10.1f}{counted.macs / 1e6:8.2f}{scores}")
    for row in rows:
        text = ", ".join(
            f"{name} {row[name][0]:.2f} ({row[name][1]:.2f} to {row[name][2]:.2f})" for name in ("kendall", "spearman")
        )
        print(f"{row['run']}: mean top-1 {row['mean_top1']:.2f}, {text}")


if __name__ == "__main__":
    main()
