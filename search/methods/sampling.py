"""Any sampler of Optuna's as a method: dimensions that exist only where the network has them, asked for one by one.

The sampler's own study is in memory; evaluations are stored elsewhere, one record each.
"""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np

from supernet import SpecError
from supernet.space.placement import EMPTY
from supernet.values import did_you_mean, first_line

from ..codes import Array
from ..config import OptunaConfig
from ..problem import ACCURACY, Problem, is_maximised
from .base import Method

TRIES = 10
"""Proposals for each network that is asked for; where all are known or beyond the constraints, one is drawn."""
ONE_OBJECTIVE = ("CmaEsSampler",)
_OTHERS = ("BaseSampler", "BaseGASampler", "BruteForceSampler", "GridSampler", "PartialFixedSampler")
"""Those that are no samplers by themselves, or list a space that no list would hold."""


class Sampling(Method):
    def __init__(self, problem: Problem, seed: int, config: OptunaConfig, tries: int = TRIES) -> None:
        super().__init__(problem, seed)
        self.tries = tries
        self.config = config
        self.codes = problem.codes
        self.known: dict[bytes, float] = {}
        self.dropped: set[bytes] = set()
        self.patience = 1.0
        """The share of `tries` that is worth it: less and less while all proposals are known or beyond the limits."""
        self.waiting: list[tuple[Any, bytes]] = []
        directions: list[Any] = ["maximize" if is_maximised(metric) else "minimize" for metric in problem.objectives]
        import optuna

        # What a sampler cannot do jointly it does one by one, and says so each time.
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.study = optuna.create_study(directions=directions, sampler=_sampler(config.sampler, seed, problem))

    def ask(self, most: int) -> Array:
        found: dict[bytes, Array] = {}
        wanted = min(self.config.batch, most)
        for _ in range(max(wanted, int(self.patience * self.tries * wanted))):
            if len(found) == wanted:
                break
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                trial = self.study.ask()
                code = self._suggest(trial)
            key = code.tobytes()
            if self.feasible.excess(code[None])[0] > 0:
                self._tell(trial, code, 0.0)
            elif key in self.known:
                self._tell(trial, code, self.known[key])
            elif key in self.dropped:
                self._fail(trial)
            else:
                found[key] = code
                self.waiting.append((trial, key))
        self.patience = min(1.0, 2 * self.patience) if found else self.patience / 2
        if len(found) < wanted:
            known = set(self.known) | self.dropped | set(found)
            drawn = self.feasible.draw(self.rng, wanted - len(found), known)
            found |= {code.tobytes(): code for code in drawn}
        return np.array(list(found.values()), dtype=np.int32).reshape(len(found), self.codes.genes)

    def tell(self, codes: Array, accuracy: Array) -> None:
        self.known |= {code.tobytes(): float(one) for code, one in zip(codes, accuracy, strict=True)}
        by_key = {code.tobytes(): code for code in codes}
        for trial, key in self.waiting:
            if key in by_key:
                self._tell(trial, by_key[key], self.known[key])
        self.waiting = [(trial, key) for trial, key in self.waiting if key not in by_key]

    def drop(self, codes: Array) -> None:
        """How good they would have been on all images is not known: these trials have failed."""
        dropped = {code.tobytes() for code in codes}
        for trial, key in self.waiting:
            if key in dropped:
                self._fail(trial)
        self.waiting = [(trial, key) for trial, key in self.waiting if key not in dropped]
        self.dropped |= dropped

    def _fail(self, trial: Any) -> None:
        from optuna.trial import TrialState

        self.study.tell(trial, state=TrialState.FAIL)

    def _tell(self, trial: Any, code: Array, accuracy: float) -> None:
        """A network beyond the constraints was not evaluated: it has the worst accuracy, and says how far it is off."""
        columns = self.problem.columns(code[None], np.array([accuracy]))
        for constraint in self.problem.constraints:
            if constraint.metric in columns:
                off = columns[constraint.metric][0] - constraint.limit
                trial.set_constraint(str(constraint), float(off if constraint.at_most else -off))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some samplers have no use for constraints, and say so each time
            self.study.tell(trial, [float(columns[metric][0]) for metric in self.problem.objectives])

    def _suggest(self, trial: Any) -> Array:
        """Only genes that have something to say are asked for: a deeper stage has more dimensions."""
        layout, space = self.problem.space.layout, self.problem.space
        code = np.zeros(self.codes.genes, dtype=np.int32)

        def choose(gene: int | None) -> None:
            if gene is not None:
                about = layout.genes[gene]
                if about.ordered:
                    code[gene] = trial.suggest_int(about.name, 0, about.choices - 1)
                else:
                    code[gene] = about.values.index(trial.suggest_categorical(about.name, about.values))

        for gene in (layout.resolution, *layout.stem.values(), *layout.head.values()):
            choose(gene)
        for stage, genes, many in zip(space.stages, layout.stages, self.codes.stages, strict=True):
            for gene in (genes.width, genes.depth, *genes.downsample.values()):
                choose(gene)
            for slot, gene in enumerate(genes.kinds):
                if stage.drop_anywhere or many.placements(code[None])[0, slot] != EMPTY:
                    choose(gene)
            placement = many.nearest(many.placements(code[None])[0])
            many.set(code[None], placement[None])
            for slot, kind in enumerate(placement):
                if kind != EMPTY:
                    for gene in genes.fields[slot][kind].values():
                        choose(gene)
        found: Array = self.codes.canonical(code[None])[0]
        return found


def _sampler(name: str, seed: int, problem: Problem) -> Any:
    import optuna

    known = [one for one in optuna.samplers.__all__ if one.endswith("Sampler") and one not in _OTHERS]
    if name not in known:
        raise SpecError("method.sampler", f"Optuna has no sampler {name!r}, {did_you_mean(name, known)}")
    if name in ONE_OBJECTIVE and len(problem.objectives) > 1:
        raise SpecError("method.sampler", f"{name} works with one objective, such as [{ACCURACY}], and constraints")
    kind = getattr(optuna.samplers, name)
    options: dict[str, Any] = {"seed": seed} if "seed" in inspect.signature(kind.__init__).parameters else {}
    if name == "TPESampler":
        options |= {"multivariate": True, "group": True}  # jointly, among the dimensions that networks have in common
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return kind(**options)
    except (TypeError, ImportError, ValueError) as error:
        raise SpecError("method.sampler", f"{name} can't be used here: {first_line(error)}") from None
