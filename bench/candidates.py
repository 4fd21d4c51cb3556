"""How many candidates a second evolution looks at when accuracies are predicted.

    OMP_NUM_THREADS=1 python bench/candidates.py [--space efficientformerv2] [--candidates 100000]

Processor time on one core for one round of a guided search: the predictor's fit, breeding, costs, constraints,
predictions and selection. Accuracies are made up; costs are parameters and multiply-accumulates.
"""

from __future__ import annotations

import argparse
import functools
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
        while len(method.seen) < EVALUATED:
            codes = method.ask(EVALUATED)
            method.tell(codes, 70 * (1 - np.exp(-((problem.columns(codes)["macs"] / 3e8) ** 0.7))))
        start = time.process_time()
        method.ask(16)
        speed = args.candidates / (time.process_time() - start)
        print(f"{args.space}, {children:,} children a generation: {speed:,.0f} candidates a second")


if __name__ == "__main__":
    main()
