"""What a run of train_supernet.py is. One YAML file is one experiment; `--set` changes a value."""

from __future__ import annotations

from typing import Annotated, Self

from msgspec.structs import replace

from supernet.options import Options
from supernet.space.choices import DIMENSIONS
from supernet.values import Choice, Limit, SpecError

from .config import Count, Positive, Rate, RunConfig, TeacherConfig, absolute, absolute_if_file


class StepConfig(Options, frozen=True):
    """Which subnets one step trains, and what each of them learns from."""

    largest: bool = True
    """Whether each step trains the largest subnet."""
    smallest: bool = True
    """Whether each step trains the smallest one."""
    sampled: Annotated[int, Limit(0, 64)] = 2
    """How many more are drawn for a step."""
    sampling: Annotated[str, Choice(("uniform", "stratified", "adjacent"))] = "uniform"
    """How they are drawn: uniform in each choice, or by bands of MACs."""
    strata: Annotated[int, Limit(2, 64)] = 8
    """Bands of MACs, for stratified and adjacent sampling. `adjacent` (ElasticViT) stays in a band or goes to the next
    one from step to step, so that subnets of very different size don't pull at the weights at once."""
    bank: Annotated[int, Limit(0, 1000)] = 16
    """With adjacent sampling: how many of the best subnets a band remembers. Half of its draws, in the end, repeat one
    of them."""
    distill: Annotated[str, Choice(("none", "soft", "alpha"))] = "soft"
    """What the others learn from the largest: its soft labels by cross-entropy, or by alpha-divergence."""
    alpha: tuple[Annotated[float, Limit(-10, 10)], Annotated[float, Limit(-10, 10)]] = (-1.0, 1.0)
    """For each image the alpha counts whose divergence is larger."""
    alpha_clip: Annotated[float, Limit(0.1, 1000)] = 5.0
    """Bound of the importance weights in the alpha-divergence."""
    images: Annotated[str, Choice(("shared", "split"))] = "shared"
    """Whether the sampled subnets see all images of the batch, or each its part."""
    resolution: Annotated[str, Choice(("each", "batch"))] = "each"
    """`each`: a subnet gets the images at its own size. `batch`: a size is drawn for a step, and all take it."""
    conflict: Annotated[str, Choice(("none", "attention", "largest"))] = "none"
    """Whose gradients lose the component that points against another's. `attention`: those of convolution-heavy and of
    attention-heavy subnets, mutually. `largest`: that of the largest, against all others' (NASViT)."""
    conflict_from: Count = 0
    """From which epoch on."""
    drop_path: Rate = 0.0
    """Of the largest only; the last block's, the others' grow linearly to it."""
    dropout: Rate = 0.0
    """Before the classifier, of the largest only."""
    label_smoothing: Rate = 0.0
    """How much of a label is spread over all classes."""
    teacher: TeacherConfig | None = None
    """Beside the labels, for the subnets that learn from labels."""


class PhaseConfig(Options, frozen=True):
    """From epoch `start` on, only these dimensions of the space are elastic; the others keep their largest value."""

    start: Count
    """The first epoch is 0."""
    elastic: tuple[Annotated[str, Choice(DIMENSIONS)], ...]
    """`attention` is where it stands, its heads and their widths."""
    sort: bool = False
    """Whether channels, hidden units and heads are sorted by importance when the phase begins."""


class EvaluateConfig(Options, frozen=True):
    every: Positive = 10
    """Epochs between evaluations; the last epoch always has one."""
    random: Count = 4
    """Random members beside the largest and smallest; by the seed, the same every time."""
    published: bool = True
    """Whether published networks that lie in the space are evaluated too."""
    calibration_images: Annotated[int, Limit(2, 10**9)] = 4096
    """Training images for the batch-norm statistics of each member."""
    images: Count = 0
    """At most this many of the validation images; 0: all."""


class SupernetConfig(RunConfig, frozen=True, kw_only=True):
    """`norm` is `shared` (recalibrated before use) or `per_width` (each width has batch norms of its own)."""

    space: str
    """A name from configs/spaces, or a file."""
    init: str = ""
    """A checkpoint of a member of the space, whose weights the supernet starts with."""
    init_spec: str = ""
    """The member it belongs to; empty: the space's largest."""
    norm: Annotated[str, Choice(("shared", "per_width"))] = "shared"
    """Batch norms: shared by all subnets, or of its own for each width."""
    step: StepConfig = StepConfig()
    phases: tuple[PhaseConfig, ...] = ()
    """Which dimensions are elastic when; none: all are from the start."""
    evaluate: EvaluateConfig = EvaluateConfig()

    def with_absolute_paths(self) -> Self:
        teacher = self.step.teacher
        return replace(
            super().with_absolute_paths(),
            space=absolute_if_file(self.space),
            init=absolute(self.init),
            init_spec=absolute_if_file(self.init_spec),
            step=replace(self.step, teacher=teacher and teacher.with_absolute_paths()),
        )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.step.largest or self.step.smallest or self.step.sampled):
            raise SpecError("step.sampled", "0 leaves nothing to train, as largest and smallest are off too")
        if self.step.distill != "none" and not self.step.largest:
            raise SpecError("step.distill", f"{self.step.distill!r} needs the largest subnet: step.largest is off")
        shared = self.step.sampled if self.step.images == "split" and self.step.sampled > 1 else 1
        if self.data.batch_size < 2 * shared:
            among = f" for each of {shared} sampled subnets" if shared > 1 else ""
            raise SpecError("data.batch_size", f"{self.data.batch_size} is too few: batch norm needs 2 images{among}")
        if self.step.conflict == "largest" and not self.step.largest:
            raise SpecError("step.conflict", "'largest' needs the largest subnet: step.largest is off")
        if self.step.conflict != "none" and self.step.conflict_from >= self.schedule.epochs:
            rule = f"{self.step.conflict_from} is no epoch of {self.schedule.epochs}, counted from 0"
            raise SpecError("step.conflict_from", rule)
        starts = [phase.start for phase in self.phases]
        if starts and starts[-1] >= self.schedule.epochs:
            rule = f"{starts[-1]} is no epoch of {self.schedule.epochs}, counted from 0"
            raise SpecError(f"phases[{len(starts) - 1}].start", rule)
        if starts != sorted(set(starts)):
            raise SpecError("phases", f"their starts {starts} don't grow")
        sorts = [index for index, phase in enumerate(self.phases) if phase.sort]
        if sorts and self.norm == "per_width":
            raise SpecError(f"phases[{sorts[0]}].sort", "true needs norm: shared, as norms of each width fix the order")
