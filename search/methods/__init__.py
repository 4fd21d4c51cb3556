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
from ..importance.learning import Learn, Progress, learning_on
from ..problem import Problem
from .base import Method
from .evolution import Evolution
from .guided import Guided
from .importance import Importance
from .random_draws import RandomDraws
from .sampling import TRIES, Sampling
from .slimming import Slimming

GENERATION = 1024
"""Children of a generation, at least, where candidates cost microseconds."""
SLOW, HASTY = 100, 2
"""Candidates between two batches, at most, and proposals for each, for a sampler that takes milliseconds."""


def make_method(config: SearchConfig, problem: Problem, progress: Progress | None = None) -> Method:
    """`progress` is told how far a method is that must learn before it can ask."""
    predictor, method = config.predictor, config.method
    learn = None
    if isinstance(method, ImportanceConfig):
        learn = learning_on(config.supernet, problem.space, method, config.seed, progress)
    if predictor is None:
        return _plain(method, problem, config.seed, config.evaluations, learn)
    if isinstance(method, EvolutionConfig):
        method = msgspec.structs.replace(method, children=max(method.children, GENERATION))
    if isinstance(method, OptunaConfig):
        predictor = msgspec.structs.replace(predictor, candidates=min(predictor.candidates, SLOW))
    looks = predictor.candidates
    return Guided(problem, config.seed, predictor, lambda seed: _plain(method, problem, seed, looks, learn, HASTY))


def _plain(
    method: MethodConfig, problem: Problem, seed: int, evaluations: int, learn: Learn | None, tries: int = TRIES
) -> Method:
    match method:
        case RandomConfig():
            return RandomDraws(problem, seed)
        case EvolutionConfig():
            return Evolution(problem, seed, method)
        case SlimmingConfig():
            return Slimming(problem, seed, method, evaluations)
        case OptunaConfig():
            return Sampling(problem, seed, method, tries)
        case ImportanceConfig():
            assert learn is not None
            return Importance(problem, seed, method, learn)
    raise AssertionError(f"no method for {method}")


__all__ = ["Method", "make_method"]
