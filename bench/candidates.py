"""How many candidates a second evolution looks at when accuracies are predicted.

    OMP_NUM_THREADS=1 python bench/candidates.py [--space efficientformerv2] [--candidates 100000]

Processor time on one core for a round of a guided search: the predictor's fit, breeding, costs, constraints,
predictions and selection; the median of five, after a first one that also makes what the later ones share. Accuracies
are made up; costs are parameters and multiply-accumulates. Beside it, what once-for-all's evolution finder does on one
core with its own predictor and table, measured elsewhere: 4,300 to 5,800 a second, 684 through its library.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from search.config import EvolutionConfig, PredictorConfig
from search.costs import Costs
from search.methods.evolution import Evolution
from search.methods.guided import Guided
from search.problem import Problem, parse_constraint
from supernet import load_space

EVALUATED = 128
ROUNDS = 5


def _evolution(problem: Problem, children: int, seed: int) -> Evolution:
    return Evolution(problem, seed, EvolutionConfig(population=256, children=children))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="efficientformerv2")
    parser.add_argument("--candidates", type=int, default=100_000)
    args = parser.parse_args()
    limits = [parse_constraint("macs <= 800 M"), parse_constraint("params <= 8 M")]
    problem = Problem(Costs(load_space(args.space)), ["accuracy", "params"], limits)
    for children in (1024, 4096):
        method = Guided(
            problem,
            0,
            PredictorConfig(candidates=args.candidates, start=EVALUATED),
            functools.partial(_evolution, problem, children),
        )
        speeds = []
        while len(speeds) <= ROUNDS:
            start, is_guided = time.process_time(), len(method.seen) >= EVALUATED
            codes = method.ask(16)
            if is_guided:
                speeds.append(args.candidates / (time.process_time() - start))
            method.tell(codes, 70 * (1 - np.exp(-((problem.columns(codes)["macs"] / 3e8) ** 0.7))))
        later = statistics.median(speeds[1:])
        print(
            f"{args.space}, {children:,} children a generation: {later:,.0f} candidates a second "
            f"({min(speeds[1:]):,.0f} to {max(speeds[1:]):,.0f}; the first round {speeds[0]:,.0f})",
            flush=True,
        )
    print("once-for-all's finder: 4,300 to 5,800, and 684 through its library")


if __name__ == "__main__":
    main()
