"""What a search is, as typed and frozen options. One YAML file is one search; `--set` changes a value."""

from __future__ import annotations

from typing import Annotated

from supernet.options import Kind, Options
from supernet.values import Choice, Limit

Count = Annotated[int, Limit(0, 10**9)]
Positive = Annotated[int, Limit(1, 10**9)]
Share = Annotated[float, Limit(0, 1)]
Magnitude = Annotated[float, Limit(0, 1e9)]


class TableConfig(Options, frozen=True):
    """One device's latency table; its latency is the metric `latency NAME`."""

    name: str
    """Such as iphone13, in objectives and constraints."""
    file: str
    """What `python -m latency_lut measure` wrote."""
    device: str = ""
    """Number or words, where the file has several devices."""


class EfficiencyConfig(Options, frozen=True):
    """The mobile-efficiency score of EfficientFormerV2: 100 times the product of (metric / unit) ** alpha."""

    metrics: tuple[str, ...]
    """Such as [latency iphone13, params]."""
    units: tuple[Annotated[float, Limit(1e-12, 1e15)], ...]
    """Of each metric: 1 ms and 3e6 parameters in the paper."""
    alphas: tuple[Annotated[float, Limit(-10, 10)], ...]
    """Of each metric: -1 and -0.5 in the paper; a negative one rewards less."""


class AccuracyConfig(Options, frozen=True):
    """How good a network is: its top-1 percentage on the supernet's weights, with batch norms of its own."""

    split: Annotated[str, Choice(("held_out", "validation"))] = "held_out"
    """The images it is judged on; what is shown in the end should have been seen by nobody: validation."""
    images: Count = 0
    """Of them; 0: all."""
    calibration_images: Annotated[int, Limit(2, 10**9)] = 1024
    """Training images for the batch-norm statistics."""
    halving: Annotated[int, Limit(0, 8)] = 0
    """Successive halving: a batch is judged on a share of the images first, 1 / 2 ** halving, and only the better half
    goes on to twice as many, until all. Better is decided by all objectives and the constraints. Only those that were
    judged on all images can be on the front, and only of them the method is told how good they are."""
    function: str = ""
    """Instead of a supernet: `module:name` of a Python function from a list of specs to a list of accuracies, which are
    percentages. The module is looked for in the current folder, too."""
    at_once: Annotated[int, Limit(1, 10_000)] = 1
    """Specs that the function gets at once; what an interruption can lose."""


class PredictorConfig(Options, frozen=True):
    """With a predictor, the method runs on predictions, and only what it finds is evaluated."""

    candidates: Positive = 20_000
    """That the method looks at between two batches of evaluations; optuna, whose samplers take milliseconds for each,
    looks at 100 at most."""
    start: Positive = 64
    """Random networks that are evaluated before the first fit."""
    explore: Magnitude = 0.5
    """How many standard errors a prediction is raised by: networks that little is known about get a chance."""


class WorkersConfig(Options, frozen=True):
    """Who evaluates."""

    where: Annotated[str, Choice(("here", "ray"))] = "here"
    """In this process, or by actors of a Ray cluster that hold a supernet each."""
    number: Positive = 1
    """Of actors; in this process there is one."""
    cpus: Annotated[float, Limit(0, 1024)] = 1
    """Of each actor."""
    gpus: Annotated[float, Limit(0, 64)] = 0
    """Of each actor."""
    address: str = ""
    """Of a running Ray cluster; empty: one is started on this machine, or the one that Ray's environment names."""


class MethodConfig(Kind, frozen=True):
    """Base of the options of methods."""


class RandomConfig(MethodConfig, tag="random", frozen=True):
    """Networks within the constraints, drawn as the space draws them."""


class EvolutionConfig(MethodConfig, tag="evolution", frozen=True):
    """Multi-objective evolution with domination by constraints."""

    population: Annotated[int, Limit(4, 100_000)] = 64
    """Networks that are kept."""
    children: Annotated[int, Limit(1, 100_000)] = 32
    """Of a generation; with a predictor, 1,024 at least."""
    mutation: Annotated[float, Limit(0.001, 1)] = 0.1
    """Probability with which each choice is drawn anew."""
    crossover: Share = 0.5
    """Of the children have two parents; the others are mutated only."""


class SlimmingConfig(MethodConfig, tag="slimming", frozen=True):
    """The joint search of EfficientFormerV2: from the largest network on, always the action that loses the least
    accuracy for the efficiency score that it gains."""

    actions: Annotated[int, Limit(1, 100_000)] = 16
    """That are evaluated for a step, drawn from all that are possible."""
    steps: Annotated[int, Limit(0, 1000)] = 0
    """Actions that are taken, the best first, before others are evaluated; 0: as many as the evaluations ask for."""


class ImportanceConfig(MethodConfig, tag="importance", frozen=True):
    """The latency-driven slimming of EfficientFormer V1: the importance of blocks is learnt on the supernet, then the
    least important is removed, again and again."""

    learning_steps: Positive = 200
    """Of gradient descent on the importances."""
    lr: Annotated[float, Limit(1e-6, 10)] = 0.05
    """Of that descent: how far a path of usual gradient goes in a step."""
    temperature: Annotated[float, Limit(0.01, 100)] = 0.3
    """Of the Gumbel softmax. The lower, the more a step has one block in each place, as the supernet's networks have;
    at 1 the blocks of a place are blended."""
    batch_size: Annotated[int, Limit(2, 10**6)] = 64
    """Training images of a step."""
    evaluated: Positive = 16
    """Networks on the way down that are evaluated: those within the constraints first, spread by cost."""


class OptunaConfig(MethodConfig, tag="optuna", frozen=True):
    """Any sampler of Optuna's."""

    sampler: str = "TPESampler"
    """Such as TPESampler, NSGAIISampler, NSGAIIISampler, GPSampler, QMCSampler, CmaEsSampler."""
    batch: Annotated[int, Limit(1, 10_000)] = 8
    """Networks that it chooses before it is told how they did."""


METHODS = (RandomConfig, EvolutionConfig, SlimmingConfig, ImportanceConfig, OptunaConfig)


class SearchConfig(Options, frozen=True):
    """A search. With `supernet`, accuracies are those of its networks; `space` is for a function without one."""

    supernet: str = ""
    """Folder of a run of train_supernet.py."""
    space: str = ""
    """Name or file of a space; empty: the supernet's."""
    tables: tuple[TableConfig, ...] = ()
    """Latency tables, one for each device."""
    objectives: tuple[str, ...] = ("accuracy",)
    """Metrics: accuracy, params, macs, size, latency NAME, efficiency."""
    constraints: tuple[str, ...] = ()
    """Such as latency iphone13 <= 1.0 ms; every network found keeps all of them."""
    efficiency: EfficiencyConfig | None = None
    """The definition of the metric efficiency."""
    evaluations: Positive = 200
    """Networks whose accuracy is evaluated."""
    method: MethodConfig = EvolutionConfig()
    """Which networks those are."""
    predictor: PredictorConfig | None = None
    """If set, a predictor is fitted on what was evaluated."""
    accuracy: AccuracyConfig = AccuracyConfig()
    workers: WorkersConfig = WorkersConfig()
    storage: str = ""
    """Of the evaluations, as Optuna's URL; empty: study.db in the folder of the search."""
    whole_study: bool = False
    """Results are of all evaluations of the study, whichever method or seed they were for; else of this search's own,
    which are the same whatever was searched before."""
    measure: str = ""
    """Name of one of the tables, of this computer: the best network is measured in the end, and compared."""
    seed: Annotated[int, Limit(0, 2**31 - 1)] = 0
    """All random numbers follow from it."""
