"""Does the search pay? Found networks beside published, uniformly scaled and random ones of the same latency.

    python bench/proof.py --folder runs/proof --data FOLDER

On CIFAR-10 at the pixels of the space, with this computer as the device (ONNX Runtime, one thread). A supernet is
trained, a latency table measured, and for each budget a search is run, with evolution on a predictor and with random
networks, both with as many evaluations. Beside what they found stand the published networks and the largest of the
space, made as wide (and deep) as they may be to take no longer, all measured side by side. Each network is trained from
random weights with the same recipe, images and steps, once for each seed. Test images are seen by nobody before.

FOLDER has the result: proof.md, proof.svg, networks.json, accuracies.jsonl. Interrupted, the same command goes on;
what is there is not made again. `--stop-after table` looks at a part first: budgets have to suit the computer.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.proof_figures import FOUND, Network, draw, write_table
from bench.proof_networks import published_ladder, uniform_ladder, within
from latency_lut.items import network
from latency_lut.lookup import LatencyTable
from latency_lut.plan import Plan, add_to_plan
from latency_lut.table.latencies import Latencies
from latency_lut.table.store import Store
from supernet import NetSpec, count, load_space, load_spec, save_spec
from supernet.whole_files import write_whole

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("supernet", "table", "search", "choice", "retraining")
RANDOM, UNIFORM = "random", "uniform"
OPTIONS = {
    "data.workers": 0,
    "precision.amp": "none",
    "precision.channels_last": "false",
    "precision.threads": 1,
    "augment.randaugment": "",
    "augment.erase": 0,
    "step.drop_path": 0,
    "step.label_smoothing": 0,
    "ema": 0.99,
}
"""Of the supernet and of each retraining: short trainings on a processor."""


class Setting(NamedTuple):
    folder: Path
    data: Path
    space: str
    published: tuple[str, ...]
    budgets: tuple[float, ...]
    evaluations: int
    judged_images: int
    supernet_epochs: int
    epochs: int
    images: int
    batch: int
    seeds: int
    rounds: int

    @property
    def options(self) -> dict[str, object]:
        return {"data.path": self.data, "data.batch_size": self.batch, **OPTIONS}


TRAINING_IMAGES = 50_000


def run(*arguments: object) -> None:
    """One of the project's commands, in a process of its own."""
    command = [sys.executable, *map(str, arguments)]
    print("\n$ python " + " ".join(map(str, arguments)), flush=True)
    status = subprocess.run(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}).returncode  # noqa: S603
    if status:
        sys.exit(status)


def sets(options: dict[str, object]) -> list[str]:
    return [word for name, value in options.items() for word in ("--set", f"{name}={value}")]


def train_supernet(setting: Setting) -> None:
    own = {
        "space": setting.space,
        "schedule.epochs": setting.supernet_epochs,
        "schedule.warmup_epochs": 0.5,
        "optimizer.lr": 1.5e-3,
        "data.held_out": TRAINING_IMAGES // 2,
        "evaluate.every": 100,
        "evaluate.calibration_images": 1000,
        "checkpoint.minutes": 2,
    }
    run("train_supernet.py", "configs/cifar10.yaml", "--out", setting.folder / "supernet", *sets(setting.options | own))


def measure_plan(plan: Path, table: Path, rounds: int) -> None:
    run("-m", "latency_lut", "export", plan, "--to", "onnx")
    protocol = (f"rounds={rounds}", "burst_ms=30", "warm_up=5", "patience_s=20")
    run("-m", "latency_lut", "measure", plan, "--table", table, *(f"--protocol={one}" for one in protocol))


def measure_units(setting: Setting) -> None:
    plan = setting.folder / "plan"
    run("-m", "latency_lut", "plan", setting.space, "--out", plan, "--networks", 24)
    measure_plan(plan, setting.folder / "host.sqlite", 3)
    run("-m", "latency_lut", "validate", setting.folder / "host.sqlite")


def search(setting: Setting) -> None:
    for budget in setting.budgets:
        for kind in (FOUND, RANDOM):
            out = setting.folder / f"{kind}_{budget:g}"
            method = "{kind: evolution}" if kind == FOUND else "{kind: random}"
            lines = [
                f"supernet: {setting.folder / 'supernet'}",
                f"tables: [{{name: host, file: {setting.folder / 'host.sqlite'}}}]",
                f"constraints: [latency host <= {budget:g} ms, latency host >= {0.9 * budget:g} ms]",
                f"evaluations: {setting.evaluations}",
                f"method: {method}",
                f"accuracy: {{images: {setting.judged_images}, calibration_images: 500}}",
                "seed: 0",
            ]
            if kind == FOUND:
                lines.append(f"predictor: {{candidates: 5000, start: {setting.evaluations // 3}}}")
            config = setting.folder / f"{kind}_{budget:g}.yaml"
            write_whole(config, "\n".join(lines) + "\n")
            if not (out / "report.html").exists():
                run("search.py", config, "--out", out)


def best(setting: Setting, kind: str, budget: float) -> tuple[NetSpec, float]:
    """With its accuracy inside the supernet."""
    folder = setting.folder / f"{kind}_{budget:g}"
    names, values = (line.split(",") for line in (folder / "front.csv").read_text().splitlines()[:2])
    return load_spec(folder / "best.yaml"), float(values[names.index("accuracy %")])


def choose(setting: Setting) -> list[Network]:
    """All candidates are measured side by side; baselines may take as long as the budget, or as what was found."""
    space, table = load_space(setting.space), LatencyTable(setting.folder / "host.sqlite")
    ladders = {name: published_ladder(load_spec(name), space) for name in setting.published}
    ladders[UNIFORM] = uniform_ladder(space.largest())
    winners = {(kind, budget): best(setting, kind, budget) for budget in setting.budgets for kind in (FOUND, RANDOM)}
    specs = [spec for spec, _ in winners.values()] + [spec for ladder in ladders.values() for spec in ladder]
    ms = measured_ms(setting, list(dict.fromkeys(specs)))
    chosen = []
    for budget in setting.budgets:
        limit = max(budget, ms[winners[FOUND, budget][0]])
        found: dict[str, tuple[NetSpec | None, float | None]] = {
            kind: winners[kind, budget] for kind in (FOUND, RANDOM)
        } | {name: (within(ladder, ms, limit), None) for name, ladder in ladders.items()}
        for kind, (spec, inside) in found.items():
            if spec is None:
                print(f"{kind}: none takes at most {limit:.3f} ms")
                continue
            name, counted = f"{kind}_{budget:g}", count(spec)
            save_spec(spec, setting.folder / "networks" / f"{name}.yaml")
            predicted = None if inside is None else table.latency_ms(spec).ms
            chosen.append(Network(kind, budget, name, counted.params, counted.macs, predicted, ms[spec], inside))
    return chosen


def measured_ms(setting: Setting, specs: list[NetSpec]) -> dict[NetSpec, float]:
    items = {spec: network(spec) for spec in specs}
    anchor = network(load_space(setting.space).smallest())
    plan, table = setting.folder / "side_by_side", setting.folder / "side_by_side.sqlite"
    add_to_plan(Plan((setting.space,), (anchor, *items.values()), anchor), plan)
    measure_plan(plan, table, setting.rounds)
    with Store(table) as store:
        latencies = Latencies(store, store.find())
        found = {spec: latencies.of(item) for spec, item in items.items()}
    return {spec: latency.ms for spec, latency in found.items() if latency is not None}


def networks(setting: Setting) -> list[Network]:
    file = setting.folder / "networks.json"
    if not file.exists():
        (setting.folder / "networks").mkdir(exist_ok=True)
        write_whole(file, json.dumps([one._asdict() for one in choose(setting)], indent=1) + "\n")
    return [Network(**row) for row in json.loads(file.read_text())]


def known_accuracies(setting: Setting) -> dict[tuple[str, int], float]:
    file = setting.folder / "accuracies.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    rows = [json.loads(line) for line in lines]
    return {(row["network"], row["seed"]): row["top1"] for row in rows}


def retrain(setting: Setting, compared: list[Network]) -> Iterator[dict[tuple[str, int], float]]:
    """What is known after each. One seed of all networks comes before the next seed of any."""
    from retrain import main as retrain_main  # in this process: starting one takes as long as a short training

    torch.set_num_threads(1)
    known = known_accuracies(setting)
    yield known
    for seed in range(setting.seeds):
        for one in compared:
            if (one.name, seed) in known:
                continue
            out, began = setting.folder / "runs" / f"{one.name}_{seed}", time.monotonic()
            own = {
                "seed": seed,
                "schedule.epochs": setting.epochs,
                "schedule.warmup_epochs": 0.1 * setting.epochs,
                "optimizer.lr": 2e-3,
                "data.held_out": TRAINING_IMAGES - setting.images,
                "evaluate.every": 100,
                "evaluate.calibration_images": 1000,
            }
            file = setting.folder / "networks" / f"{one.name}.yaml"
            words = [str(file), "--recipe", "cifar10", "--out", str(out), *sets(setting.options | own)]
            status = retrain_main(words)
            if status:
                sys.exit(status)
            known[one.name, seed] = json.loads((out / "results.json").read_text())["top1"]
            row = {"network": one.name, "seed": seed, "top1": known[one.name, seed]}
            with (setting.folder / "accuracies.jsonl").open("a") as results:
                print(json.dumps(row | {"seconds": round(time.monotonic() - began)}), file=results)
            yield known


def parse(arguments: list[str] | None = None) -> tuple[Setting, str]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/proof"), help="of all that is made")
    parser.add_argument("--data", type=Path, required=True, help="folder with train.parquet and test.parquet")
    parser.add_argument("--space", default="cifar")
    parser.add_argument("--published", nargs="*", default=["iformer_t"], metavar="NAME")
    parser.add_argument("--budgets", nargs="+", type=float, default=[0.09, 0.11, 0.13], metavar="MS")
    parser.add_argument("--evaluations", type=int, default=100, help="of each search (default 100)")
    parser.add_argument(
        "--judged-images", type=int, default=5000, help="held-out images of an evaluation (default 5000)"
    )
    parser.add_argument("--supernet-epochs", type=int, default=5, help="on 25,000 images (default 5)")
    parser.add_argument("--epochs", type=int, default=3, help="of each retraining (default 3)")
    parser.add_argument("--images", type=int, default=20_000, help="training images of each retraining (default 20000)")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=8, help="of measuring the networks side by side")
    parser.add_argument("--stop-after", choices=STAGES, default=STAGES[-1])
    args = vars(parser.parse_args(arguments))
    last = args.pop("stop_after")
    for name in ("folder", "data"):
        args[name] = args[name].expanduser().absolute()
    return Setting(**(args | {name: tuple(args[name]) for name in ("published", "budgets")})), last


def main() -> None:
    setting, last = parse()
    setting.folder.mkdir(parents=True, exist_ok=True)
    if not (setting.folder / "networks.json").exists():
        for stage, step in (("supernet", train_supernet), ("table", measure_units), ("search", search)):
            step(setting)
            if last == stage:
                return
    compared = networks(setting)
    if last == "choice":
        print(write_table(compared, {}, setting.folder / "proof.md"))
        return
    text = ""
    for known in retrain(setting, compared):
        text = write_table(compared, known, setting.folder / "proof.md")
        draw(compared, known, setting.folder / "proof.svg")
    print(text)


if __name__ == "__main__":
    main()
