"""What the switches of a training step do: short runs on the digits, each differing from the first in one option.

    python bench/switches.py [--epochs 4] [--seeds 3] [--out runs/switches]

Prints the top-1 of the largest, the smallest and four random members after that budget, mean and range over seeds. The
digits are easy, the runs short: the table shows that each switch works and roughly what it costs, not which is best on
images of yours.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from training.loop import train
from training.reading import load_config

CONFIG = Path(__file__).parent.parent / "configs" / "digits.yaml"
SWITCHES: dict[str, list[str]] = {
    "sandwich, soft labels": [],
    "no distillation": ["step.distill=none"],
    "alpha-divergence": ["step.distill=alpha"],
    "conflict: attention": ["step.conflict=attention"],
    "conflict: largest": ["step.conflict=largest"],
    "sampling: stratified": ["step.sampling=stratified"],
    "sampling: adjacent": ["step.sampling=adjacent"],
    "split images": ["step.images=split"],
    "a norm for each width": ["norm=per_width"],
    "one sampled": ["step.sampled=1"],
    "four sampled": ["step.sampled=4"],
    "phases": [
        "phases=[{start: 0, elastic: [kernel, expand]}, {start: 2, elastic: [kernel, expand, width, depth, attention]}]"
    ],
    "phases, sorted": [
        "phases=[{start: 0, elastic: [kernel, expand]}, "
        "{start: 2, elastic: [kernel, expand, width, depth, attention], sort: true}]"
    ],
    "largest alone": ["step.smallest=false", "step.sampled=0", "step.distill=none"],
}


def run(folder: Path, overrides: list[str]) -> tuple[dict[str, float], float]:
    """The last evaluation, by role, and the seconds of the whole run."""
    config = load_config(CONFIG, overrides)
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        train(config, folder)
    seconds = time.perf_counter() - start
    lines = (json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines())
    rows = [line for line in lines if line["kind"] == "evaluation"][-1]["rows"]
    top1 = {row["name"]: row["top1"] for row in rows}
    others = [value for name, value in top1.items() if name.startswith("random")]
    return {"largest": top1["largest"], "smallest": top1["smallest"], "random": sum(others) / len(others)}, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=4, help="of each run (default 4)")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each switch (default 3)")
    parser.add_argument("--out", type=Path, default=Path("runs/switches"), help="folder of the runs")
    args = parser.parse_args()
    common = [f"schedule.epochs={args.epochs}", "schedule.warmup_epochs=1", "evaluate.random=4", "evaluate.every=1000"]
    common += ["precision.threads=1", "log.tensorboard=false"]
    print(f"{'switch':24}{'largest':>20}{'smallest':>20}{'random':>20}{'seconds':>9}")
    for number, (name, overrides) in enumerate(SWITCHES.items()):
        found = [
            run(args.out / f"{number}_{seed}", [*common, f"seed={seed}", *overrides]) for seed in range(args.seeds)
        ]
        cells = ""
        for role in ("largest", "smallest", "random"):
            values = [scores[role] for scores, _ in found]
            cells += f"{sum(values) / len(values):8.1f} ({min(values):.1f}-{max(values):.1f})".rjust(20)
        print(f"{name:24}{cells}{sum(seconds for _, seconds in found) / len(found):9.1f}", flush=True)


if __name__ == "__main__":
    main()
