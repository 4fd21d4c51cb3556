"""The latency-driven slimming of EfficientFormer (Li et al. 2022, section 3.3), on the weights of a supernet.

Each slot of each stage has a path for each kind of block and one around them; the importances of the paths are learnt
by gradient descent. From the largest network on, actions then make it smaller: the least important block goes, a block
with attention gives way to one without, a stage becomes narrower; ours are also smaller expansions, kernels, heads and
resolutions, which lose of a block's importance the share that they take of its arithmetic. Always that action is taken
that loses the least importance for the time it gains. The paper evaluates each action's loss of accuracy; here
importance stands for it, so that evaluations are left for the networks on the way, and then for those around the front.
"""

from __future__ import annotations

from ..codes import Array
from ..config import ImportanceConfig
from ..importance import Importances, Learn, Trajectory, slim
from ..importance.trajectory import spread
from ..problem import Problem
from .base import Method
from .polishing import Polishing


class Importance(Method):
    """`learn` is called when networks are asked for the first time: `search.importance.learning_on` a run."""

    def __init__(self, problem: Problem, seed: int, config: ImportanceConfig, learn: Learn) -> None:
        super().__init__(problem, seed)
        self.config, self.learn = config, learn
        self.importances: Importances | None = None
        self.trajectory: Trajectory | None = None
        self.left = problem.codes.empty()
        self.polishing = Polishing(problem, self.rng)

    def ask(self, most: int) -> Array:
        if self.trajectory is None:
            self._begin()
        if not len(self.left):
            return self.polishing.ask(most)
        found, self.left = self.left[:most], self.left[most:]
        return found

    def tell(self, codes: Array, accuracy: Array) -> None:
        self.polishing.tell(codes, accuracy)

    def drop(self, codes: Array) -> None:
        self.polishing.drop(codes)

    def _begin(self) -> None:
        self.importances = self.learn()
        self.trajectory = slim(self.problem, self.importances)
        codes, cost = self.trajectory.codes, self.trajectory.cost
        excess = self.problem.excess(self.problem.columns(codes))
        self.left = codes[spread(cost, excess, self.config.evaluated)]
