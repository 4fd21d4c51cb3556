"""What a run of retrain.py is: one network, learnt from random weights or from those it has in a supernet."""

from __future__ import annotations

from typing import Annotated, Self

from msgspec.structs import replace

from supernet.options import Options
from supernet.spec import Pixels
from supernet.values import Choice, Limit, SpecError

from .config import Count, Magnitude, Positive, Rate, RunConfig, Share, TeacherConfig, absolute, absolute_if_file


class MesaConfig(Options, frozen=True):
    """Memory-efficient sharpness-aware training (Du et al. 2022): the network also learns from its own average."""

    start: Share = 0.25
    """The share of all steps that are made without it."""
    ratio: Magnitude = 2.0
    """Of its loss to that of the labels."""


class NetworkStepConfig(Options, frozen=True):
    """What the network learns from in a step."""

    loss: Annotated[str, Choice(("softmax", "sigmoid"))] = "softmax"
    """Cross-entropy over the classes, or of each class for itself."""
    label_smoothing: Rate = 0.0
    """How much of a label is spread over all classes."""
    drop_path: Rate = 0.0
    """The last block's; the others' grow linearly to it."""
    drop_path_grows: bool = False
    """Whether it grows from nothing in the first step to its whole in the last."""
    dropout: Rate = 0.0
    """Before the classifier."""
    resolutions: tuple[Pixels, ...] = ()
    """Sides of the images that steps learn from, one drawn for each step; empty: that of the network."""
    teacher: TeacherConfig | None = None
    """Beside the labels. A network with two classifiers (distilled) learns from it with the second."""
    mesa: MesaConfig | None = None
    """Needs an average: ema."""


class NetworkEvaluateConfig(Options, frozen=True):
    every: Positive = 10
    """Epochs between evaluations; the last epoch always has one."""
    images: Count = 0
    """At most this many of the validation images; 0: all."""
    calibration_images: Count = 0
    """If not 0, batch-norm statistics are taken anew from so many training images before."""


class NetworkConfig(RunConfig, frozen=True, kw_only=True):
    """One network. Recipes leave `spec` and `data` to the command."""

    spec: str
    """A published network, or a file such as a search's best.yaml."""
    resolution: Pixels | None = None
    """Pixels of a side that it is trained for; null: as the spec says. Position tables of `init` are interpolated."""
    distilled: bool | None = None
    """Whether it has a second classifier, for the teacher; null: as the spec says."""
    init: str = ""
    """Weights to start from: the folder of a trained supernet or network, or a checkpoint; empty: random ones."""
    freeze_norm: bool = False
    """Whether batch norms stay as `init` has them, statistics and weights."""
    layer_decay: Annotated[float, Limit(0.01, 1)] | None = None
    """Each block has so much of the learning rate of the one above it; null: all have the same."""
    step: NetworkStepConfig = NetworkStepConfig()
    evaluate: NetworkEvaluateConfig = NetworkEvaluateConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data.batch_size < 2 and not self.freeze_norm:
            raise SpecError("data.batch_size", f"{self.data.batch_size} is too few: batch norm needs 2 images")
        if self.step.mesa is not None and self.ema is None:
            raise SpecError("step.mesa", "it learns from the average of the weights: ema must be set")
        if self.step.drop_path_grows and self.precision.compile:
            raise SpecError("step.drop_path_grows", "not with precision.compile: each step would compile anew")
        if self.freeze_norm and not self.init:
            raise SpecError("freeze_norm", "true needs weights to freeze: init")
        if self.freeze_norm and self.evaluate.calibration_images:
            raise SpecError("evaluate.calibration_images", "must be 0 with freeze_norm: statistics would be others")

    def with_absolute_paths(self) -> Self:
        teacher = self.step.teacher
        return replace(
            super().with_absolute_paths(),
            spec=absolute_if_file(self.spec),
            init=absolute(self.init),
            step=replace(self.step, teacher=teacher and teacher.with_absolute_paths()),
        )
