"""What every method is to the search: it asks for networks to be evaluated, and is told how they did.

A method is a function of its seed and of what it was told: a search that was interrupted runs it again from the start,
with the evaluations that are known already, and comes to where it was.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from ..feasible import Feasible
from ..problem import Problem


class Method(ABC):
    """`problem` says what networks cost; accuracies are what is asked for. Each network is asked for once."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self.problem = problem
        self.rng = np.random.default_rng(seed)
        self.feasible = Feasible(problem)

    @abstractmethod
    def ask(self, most: int) -> np.ndarray:
        """Codes of networks to evaluate next, `most` at most; none when the method has no further ones."""

    @abstractmethod
    def tell(self, codes: np.ndarray, accuracy: np.ndarray) -> None:
        """The accuracies of those that were judged on all images, in the order in which they were asked for."""

    def drop(self, codes: np.ndarray) -> None:  # noqa: B027  most never ask for a network again
        """Those that were asked for and, on a share of the images, were not among the better half."""

    def begin_with(self, codes: np.ndarray, accuracy: np.ndarray) -> None:  # noqa: B027  most have no use for it
        """What was evaluated before this method began."""

    def tau(self) -> float | None:
        """Kendall's tau of its predictor on networks that are left out; None without one."""
        return None
