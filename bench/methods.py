"""How many evaluations each method needs on a space whose every network was evaluated before.

    python bench/methods.py [--run runs/methods] [--seeds 20] [--evaluations 300] [--methods evolution tpe ...]

The space is `tiny` with its choices of width, depth, kernel and attention: small enough that all its networks are
judged on the weights of a supernet (which is trained first where RUN is not there), and what is to be found is known.
Networks must keep `macs <= LIMIT`; objectives are accuracy and parameters.
  front   evaluations until the front has 98 % of the hypervolume that the whole space has, above the lowest accuracy
          and below the highest cost of the true front, each a tenth of the front's extent further away
  best    evaluations until the most accurate network within the limit was met, or one that is as accurate
  found   in how many of the seeds each of them was reached within the evaluations
Medians over the seeds, with quartiles; a seed that does not get there counts as infinitely many. `random` goes on until
it gets there; `times` is how many times as many evaluations as the method it needs, median against median.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from search.accuracy import SupernetJudge, Task
from search.codes import Array, Codes
from search.config import (
    AccuracyConfig,
    EvolutionConfig,
    ImportanceConfig,
    MethodConfig,
    OptunaConfig,
    PredictorConfig,
    RandomConfig,
    SearchConfig,
    SlimmingConfig,
)
from search.costs import Costs
from search.exact import enumerate_codes
from search.fronts import hypervolume
from search.methods import make_method
from search.problem import Problem, parse_constraint
from search.trail import Trail
from supernet import Space, load_space
from supernet.whole_files import write_whole
from train_supernet import main as train

ELASTIC = ("width", "depth", "kernel", "attention")
TRAINED = ("data.held_out=1000", "schedule.epochs=60", "evaluate.every=20")
"""Trained on 437 images, and judged on 1,000 others: more would leave nothing to choose between networks."""
SHARE = 0.98
EARLY = PredictorConfig(start=24, candidates=2000)


class Way(NamedTuple):
    method: MethodConfig
    predictor: PredictorConfig | None = None


WAYS = {
    "random": Way(RandomConfig()),
    "evolution": Way(EvolutionConfig(population=24, children=8)),
    "slimming": Way(SlimmingConfig()),
    "importance": Way(ImportanceConfig()),
    "tpe": Way(OptunaConfig("TPESampler", batch=4)),
    "nsga2": Way(OptunaConfig("NSGAIISampler", batch=8)),
    "nsga3": Way(OptunaConfig("NSGAIIISampler", batch=8)),
    "gp": Way(OptunaConfig("GPSampler", batch=8)),
    "qmc": Way(OptunaConfig("QMCSampler")),
    "random, predicted": Way(RandomConfig(), EARLY),
    "evolution, predicted": Way(EvolutionConfig(), EARLY),
    "slimming, predicted": Way(SlimmingConfig(), EARLY),
}


QUICK = [name for name in WAYS if name != "gp"]
"""All but the slowest by far."""


class Truth:
    """Every network of the space, and the accuracy of each."""

    def __init__(self, problem: Problem, codes: Array, accuracy: Array) -> None:
        self.problem = problem
        self.accuracies = {code.tobytes(): float(one) for code, one in zip(codes, accuracy, strict=True)}
        trail = self.trail(codes)
        front = trail.losses[trail.front()]
        self.size, self.front, self.best = int(trail.feasible.sum()), len(front), float(-front[:, 0].min())
        self.reference = front.max(axis=0) + 0.1 * np.ptp(front, axis=0)
        self.hypervolume = self.hypervolume_of(trail)

    def __call__(self, codes: Array) -> Array:
        return np.array([self.accuracies[code.tobytes()] for code in codes])

    def trail(self, codes: Array) -> Trail:
        found = Trail(self.problem)
        found.add(codes, self(codes))
        return found

    def hypervolume_of(self, trail: Trail) -> float:
        return hypervolume(trail.losses[trail.feasible], self.reference)

    def has_front(self, codes: Array) -> bool:
        return self.hypervolume_of(self.trail(codes)) >= SHARE * self.hypervolume

    def has_best(self, codes: Array) -> bool:
        trail = self.trail(codes)
        return bool((trail.accuracy[trail.feasible] >= self.best).any())


class Needed(NamedTuple):
    front: float
    best: float


def needed(way: Way, truth: Truth, run: str, seed: int, evaluations: int) -> Needed:
    config = SearchConfig(supernet=run, method=way.method, predictor=way.predictor, evaluations=evaluations, seed=seed)
    method = make_method(config, truth.problem)
    met = truth.problem.codes.empty()
    while len(met) < evaluations and not (truth.has_front(met) and truth.has_best(met)):
        codes = method.ask(evaluations - len(met))
        if not len(codes):
            break
        method.tell(codes, truth(codes))
        met = np.concatenate([met, codes])
    return Needed(_first(met, truth.has_front), _first(met, truth.has_best))


def _first(met: Array, is_there: Callable[[Array], bool]) -> float:
    """How many of those that were met, in their order, are needed for it. What is there once stays there."""
    if not is_there(met):
        return math.inf
    low, high = 0, len(met)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_there(met[:middle]) else (middle, high)
    return high


def judged(run: str, space: Space, codes: Array) -> Array:
    """On the images that the supernet held out; kept beside its run, since it takes minutes."""
    kept = Path(run) / "all_accuracies.json"
    known = json.loads(kept.read_text()) if kept.exists() else {}
    judge, began = SupernetJudge(run, AccuracyConfig(calibration_images=437)), time.monotonic()
    for done, code in enumerate(codes):
        name = " ".join(map(str, code.tolist()))
        if name not in known:
            (known[name],) = judge([Task(space.decode(code.tolist()))])
        if done % 100 == 99:
            write_whole(kept, json.dumps(known))
            print(f"{done + 1:,} of {len(codes):,} judged in {time.monotonic() - began:.0f} s", file=sys.stderr)
    write_whole(kept, json.dumps(known))
    return np.array([known[" ".join(map(str, code.tolist()))] for code in codes])


def quartiles(found: list[float]) -> str:
    ordered = sorted(found)
    quarter = len(ordered) // 4
    marks = (statistics.median(ordered), ordered[quarter], ordered[-1 - quarter])
    middle, low, high = ("-" if math.isinf(one) else f"{one:.0f}" for one in marks)
    return f"{middle:>5} ({low} to {high})"


def show(name: str, found: list[Needed], chance: list[Needed], evaluations: int) -> None:
    line = f"{name:<22}"
    for index in range(2):
        mine, theirs = ([one[index] for one in several] for several in (found, chance))
        within = sum(one <= evaluations for one in mine) / len(mine)
        times = statistics.median(theirs) / statistics.median(mine)
        line += f"{quartiles(mine):>22}{within:>7.0%}" + (f"{times:>7.1f}" if times else f"{'-':>7}")
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="runs/methods")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--evaluations", type=int, default=300)
    parser.add_argument("--limit", default="0.6 M", help="of multiply-accumulates (default 0.6 M)")
    parser.add_argument("--methods", nargs="+", choices=list(WAYS), default=QUICK, metavar="METHOD")
    args = parser.parse_args()
    if not (Path(args.run) / "config.yaml").exists():
        settings = (part for one in TRAINED for part in ("--set", one))
        train(["configs/digits.yaml", "--out", args.run, *settings])
    space = load_space("tiny").restricted(ELASTIC)
    problem = Problem(Costs(space), ("accuracy", "params"), [parse_constraint(f"macs <= {args.limit}")])
    codes = enumerate_codes(space)
    truth = Truth(problem, codes, judged(args.run, Codes(space).space, codes))
    print(
        f"{len(codes):,} networks, {truth.size:,} within the limit; the best has {truth.best:.2f} %, the front "
        f"{truth.front} networks"
    )
    print(f"{'':<22}{'front':>22}{'found':>7}{'times':>7}{'best':>22}{'found':>7}{'times':>7}")
    chance = [needed(WAYS["random"], truth, args.run, seed, len(codes)) for seed in range(args.seeds)]
    for name in args.methods:
        if name == "random":
            show(name, chance, chance, args.evaluations)
            continue
        found = [needed(WAYS[name], truth, args.run, seed, args.evaluations) for seed in range(args.seeds)]
        show(name, found, chance, args.evaluations)


if __name__ == "__main__":
    main()
