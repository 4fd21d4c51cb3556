"""The joint search in size and speed of EfficientFormerV2 (Li et al. 2023, section 3.3), which was never released.

From the largest network on, actions make it smaller: a block less, a narrower stage, a smaller expansion, a smaller
kernel, a block without attention. Each step evaluates some of the possible actions and takes the one that loses the
least accuracy for the efficiency it gains. All networks on the way are the front: each is an answer for its budget. The
way ends at the smallest network; evaluations that are left go into networks around the front.
"""

from __future__ import annotations

import math

import numpy as np

from supernet.space.moves import smaller

from ..codes import Array, keys
from ..config import SlimmingConfig
from ..costs import LATENCY, Efficiency
from ..problem import Problem
from .base import Method
from .polishing import Polishing

REPLAYED = 0.8
"""Share of the evaluations in which the way to the constraints should be done, where `steps` is left to us."""


class Slimming(Method):
    def __init__(self, problem: Problem, seed: int, config: SlimmingConfig, evaluations: int) -> None:
        super().__init__(problem, seed)
        self.config = config
        self.codes = problem.codes
        self.efficiency = problem.efficiency or default_efficiency(problem)
        self.now = self.codes.of([problem.space.largest()])[0]
        self.picked: Array | None = None
        self.known: dict[bytes, float] = {}
        self.dropped: set[bytes] = set()
        self.polishing = Polishing(problem, self.rng)
        self.steps = config.steps or self._steps(evaluations)

    def ask(self, most: int) -> Array:
        """Where the network now is one that several actions led to at once, it is evaluated itself first."""
        while self.now.tobytes() in self.known:
            actions = self._actions(self.now)
            actions = actions[[code.tobytes() not in self.dropped for code in actions]]
            if not len(actions):
                self.picked = None
                return self.polishing.ask(most)
            picked = actions[np.sort(self.rng.permutation(len(actions))[: self.config.actions])]
            fresh = picked[[code.tobytes() not in self.known for code in picked]]
            if len(fresh):
                self.picked = picked
                return fresh[:most]
            self._go(picked)
        return self.now[None]

    def tell(self, codes: Array, accuracy: Array) -> None:
        self.known |= {code.tobytes(): float(one) for code, one in zip(codes, accuracy, strict=True)}
        self.polishing.tell(codes, accuracy)
        if self.picked is not None and not (codes[0] == self.now).all():
            self._go(self.picked[[code.tobytes() in self.known for code in self.picked]])

    def drop(self, codes: Array) -> None:
        """One that several actions lead to at once is judged even so: then it is alone."""
        self.dropped |= set(keys(codes))
        self.polishing.drop(codes)

    def _actions(self, code: Array) -> Array:
        """Networks one action away that cost less, as `space.smaller` gives them."""
        found = np.array([one for _, one in smaller(self.problem.space, code.tolist())], dtype=np.int32)
        if not len(found):
            return self.codes.empty()
        costs, now = self.problem.columns(found), self.problem.columns(code[None])
        fewer = (costs["macs"] == now["macs"]) & (costs["params"] < now["params"])
        return found[(costs["macs"] < now["macs"]) | fewer]

    def _go(self, tried: Array) -> None:
        """Takes the best of the actions that were tried; several, where each changes something else."""
        lost = self.known[self.now.tobytes()] - np.array([self.known[code.tobytes()] for code in tried])
        gained = self._score(tried) - self._score(self.now[None])[0]
        # An action that gains nothing comes last, one that loses nothing first, the more it gains.
        price = np.where(gained > 0, np.maximum(lost, 1e-9) / np.maximum(gained, 1e-12), np.inf)
        price = np.where((lost <= 0) & (gained > 0), lost - gained, price)
        before, now = self.now, self.now
        for index in np.argsort(price, kind="stable")[: self.steps]:
            changed = np.where(tried[index] != before, tried[index], now)[None]
            if self.codes.allowed(changed)[0]:
                now = self.codes.canonical(changed)[0]
        if (now == before).all():
            now = tried[int(np.argmin(price))]
        self.now = now

    def _score(self, codes: Array) -> Array:
        return self.efficiency(self.problem.columns(codes))

    def _steps(self, evaluations: int) -> int:
        """So many at once that the way from the largest network into the constraints fits the evaluations."""
        rng, code, length = np.random.default_rng(0), self.now, 0
        while self.problem.excess(self.problem.columns(code[None]))[0] > 0:
            actions = self._actions(code)
            if not len(actions):
                break
            code, length = actions[rng.integers(len(actions))], length + 1
        steps = REPLAYED * evaluations / self.config.actions
        return max(1, math.ceil(length / max(steps, 1.0)))


def default_efficiency(problem: Problem) -> Efficiency:
    """That of the paper for the devices at hand: milliseconds count fully, parameters by their root."""
    speed = problem.costs.latencies or ["macs"]
    units = {metric: 1.0 if metric.startswith(LATENCY) else 1e9 for metric in speed} | {"params": 3e6}
    return Efficiency(units, {metric: -1.0 / len(speed) for metric in speed} | {"params": -0.5})
