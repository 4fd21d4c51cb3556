"""The methods: each chooses which networks to evaluate next."""

from __future__ import annotations

import msgspec

from ..config import (
    EvolutionConfig,
    ImportanceConfig,
    MethodConfig,
    OptunaConfig,
    RandomConfig,
    SearchConfig,
    SlimmingConfig,
)
from ..problem import Problem
from .base import Method
from .evolution import Evolution
from .random_draws import RandomDraws
from .sampling import Sampling
from .slimming import Slimming

GENERATION = 1024
"""Children of a generation, at least, where candidates cost microseconds."""


def make_method(config: SearchConfig, problem: Problem) -> Method:
    predictor, method = config.predictor, config.method
    if predictor is None:
        return _plain(config, method, problem, config.seed, config.evaluations)
    if isinstance(method, EvolutionConfig):
        method = msgspec.structs.replace(method, children=max(method.children, GENERATION))
    from .guided import Guided

    looks = predictor.candidates
    return Guided(problem, config.seed, predictor, lambda seed: _plain(config, method, problem, seed, looks))


def _plain(config: SearchConfig, method: MethodConfig, problem: Problem, seed: int, evaluations: int) -> Method:
    match method:
        case RandomConfig():
            return RandomDraws(problem, seed)
        case EvolutionConfig():
            return Evolution(problem, seed, method)
        case SlimmingConfig():
            return Slimming(problem, seed, method, evaluations)
        case OptunaConfig():
            return Sampling(problem, seed, method)
        case ImportanceConfig():
            raise AssertionError("not yet")
    raise AssertionError(f"no method for {method}")


__all__ = ["Method", "make_method"]
