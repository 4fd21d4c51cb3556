"""What a run of training is, as typed and frozen options. One YAML file is one experiment; `--set` changes a value."""

from __future__ import annotations

from typing import Annotated

from supernet.options import Options
from supernet.space.choices import DIMENSIONS
from supernet.values import Choice, Limit, SpecError

Count = Annotated[int, Limit(0, 10**9)]
Positive = Annotated[int, Limit(1, 10**9)]
Share = Annotated[float, Limit(0, 1)]
Rate = Annotated[float, Limit(0, 0.999)]
Magnitude = Annotated[float, Limit(0, 1e9)]


class DataConfig(Options, frozen=True):
    """Where the images are. `held_out` training images are set aside, by seed, for whoever scores candidates."""

    source: Annotated[str, Choice(("digits", "folder", "tar", "webdataset", "parquet"))]
    """How the images lie on disk; `digits` come with scikit-learn."""
    path: str = ""
    """The directory with the splits; every source but `digits` needs it."""
    train: str = "train"
    """The split to learn from: a folder in `path`, or what its files begin with."""
    validation: str = "validation"
    """The split to evaluate on."""
    image_key: str = "image"
    """Where the image is: a column of parquet files, the part of a WebDataset sample."""
    label_key: str = "label"
    """Where the label is: the same, or a field of a sample's JSON."""
    num_classes: Annotated[int, Limit(0, 1_000_000)] = 0
    """0: as many as the data has."""
    held_out: Count = 0
    """Training images that are never trained on, chosen by the seed."""
    batch_size: Positive = 64
    """Images of one process in one micro-step."""
    eval_batch_size: Positive = 256
    """Of one process; also in calibration, where statistics are averaged over batches."""
    workers: Annotated[int, Limit(0, 256)] = 4
    """Processes that read images, for each process of the run; 0: it reads them itself."""
    unreadable_limit: Count = 100
    """Unreadable images are skipped and counted; one more than this ends the run."""


class AugmentConfig(Options, frozen=True):
    """What happens to a training image, and how an image is cut for evaluation."""

    crop: Annotated[str, Choice(("random_resized", "pad", "none"))] = "random_resized"
    """`pad`: shifted by up to an eighth of its side, as is usual for small images."""
    scale: tuple[Share, Share] = (0.08, 1.0)
    """Share of the image's area that `random_resized` cuts out."""
    ratio: tuple[Annotated[float, Limit(0.1, 10)], Annotated[float, Limit(0.1, 10)]] = (0.75, 1.3333)
    """Width by height of what it cuts out."""
    flip: Share = 0.5
    """Probability of a mirrored image."""
    randaugment: str = ""
    """timm's notation, such as rand-m9-mstd0.5-inc1."""
    color_jitter: Share = 0.0
    """Beside randaugment too; timm's recipes leave it out there."""
    erase: Share = 0.0
    """Probability that a rectangle of the image is erased."""
    erase_mode: Annotated[str, Choice(("const", "rand", "pixel"))] = "pixel"
    """With the mean colour, one random colour, or one for each pixel."""
    mixup: Magnitude = 0.0
    """Both parameters of the beta distribution; 0: no mixup."""
    cutmix: Magnitude = 0.0
    """The same for cutmix."""
    mix_probability: Share = 1.0
    """How often a batch is mixed at all."""
    cutmix_share: Share = 0.5
    """How often cutmix is taken where both are on."""
    repeats: Annotated[int, Limit(1, 16)] = 1
    """Repeated augmentation: how often an image stands in a (global) batch; an epoch still has as many steps."""
    interpolation: Annotated[str, Choice(("bilinear", "bicubic", "random"))] = "bicubic"
    """`random` is either in training, and bilinear in evaluation."""
    crop_pct: Annotated[float, Limit(0.1, 1)] = 0.875
    """For evaluation the shorter side becomes size / crop_pct, and the centre is cut out."""
    mean: tuple[Share, Share, Share] = (0.485, 0.456, 0.406)
    """Of red, green, blue from 0 to 1; ImageNet's."""
    std: tuple[Share, Share, Share] = (0.229, 0.224, 0.225)
    """What they are divided by, after the mean was taken away."""


class TeacherConfig(Options, frozen=True):
    """A network of timm's that never changes and also teaches. `share` is the weight of its loss."""

    model: str
    """timm's name with the tag of its weights, such as regnety_160.deit_in1k."""
    weights: str = ""
    """A checkpoint file; empty: timm's pretrained weights."""
    loss: Annotated[str, Choice(("hard", "soft"))] = "hard"
    """What it teaches: its first choice, or its probabilities."""
    share: Share = 0.5
    """Of the whole loss; the labels have the rest."""
    temperature: Annotated[float, Limit(0.01, 100)] = 1.0
    """Of the probabilities."""


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


class OptimizerConfig(Options, frozen=True):
    name: str = "adamw"
    """One of timm's optimisers, but for those that need gradients of gradients."""
    lr: Magnitude = 1e-3
    """The highest, at the end of the warm-up."""
    lr_per_images: Count = 0
    """If not 0, `lr` is for a global batch of this size, and scaled to the batch at hand."""
    weight_decay: Magnitude = 0.05
    """Not for vectors and for tables of positions."""
    betas: tuple[Share, Share] | None = None
    """null: those of timm's optimiser."""
    momentum: Share = 0.9
    """Where the optimiser has one."""
    eps: Magnitude | None = None
    """null: that of timm's optimiser."""
    clip: Annotated[float, Limit(1e-9, 1e9)] | None = None
    """null: gradients stay as they are."""
    clip_mode: Annotated[str, Choice(("norm", "value", "agc"))] = "norm"
    """By the norm of all, each value, or each unit's norm beside that of its weights."""
    accumulate: Annotated[int, Limit(1, 4096)] = 1
    """Micro-steps before the optimiser moves."""


class ScheduleConfig(Options, frozen=True):
    epochs: Positive = 300
    """The warm-up is among them."""
    warmup_epochs: Annotated[float, Limit(0, 10_000)] = 5
    """In which the rate grows linearly; parts of an epoch are allowed."""
    warmup_lr: Magnitude = 1e-6
    """The rate of the first step."""
    min_lr: Magnitude = 1e-5
    """The rate that the cosine ends with."""


class PrecisionConfig(Options, frozen=True):
    device: Annotated[str, Choice(("auto", "cpu", "cuda"))] = "auto"
    """`auto` is a GPU where PyTorch sees one."""
    amp: Annotated[str, Choice(("none", "bf16", "fp16"))] = "none"
    """Numbers of autocast. Weights, gradients and losses stay float32."""
    channels_last: bool = False
    """The memory layout that convolutions on GPUs like."""
    compile: bool = False
    """Of the largest and smallest member, which every step runs."""
    deterministic: bool = False
    """Only algorithms that always give the same bits; an operation without one ends the run."""
    threads: Count = 0
    """On the CPU; 0 leaves it to PyTorch."""


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


class CheckpointConfig(Options, frozen=True):
    minutes: Annotated[float, Limit(0, 100_000)] = 10
    """At least this often within an epoch, 0 for only at its end."""
    steps: Count = 0
    """If not 0, after every so many steps too."""
    keep_last: Annotated[int, Limit(1, 1000)] = 2
    """How many of the newest stay."""
    keep_best: bool = True
    """The one whose members were best on average."""


class LogConfig(Options, frozen=True):
    every: Positive = 20
    """Steps between two lines."""
    tensorboard: bool = True
    """Whether TensorBoard's files are written."""
    wandb: str = ""
    """The name of a project at Weights & Biases, if it is installed and wanted."""


class ProcessesConfig(Options, frozen=True):
    """`auto` is one process, or what torchrun or srun started; ray and slurm start `count` processes."""

    launcher: Annotated[str, Choice(("auto", "ray", "slurm"))] = "auto"
    """Who starts the processes."""
    count: Positive = 1
    """Processes in all, for ray and slurm."""
    cpus: Positive = 4
    """Of each process, for ray and slurm."""
    gpus: Annotated[float, Limit(0, 64)] = 1
    """Of each process, for ray and slurm."""
    nodes: Positive = 1
    """Among which slurm shares the processes evenly."""
    partition: str = ""
    """Slurm's; empty: its default."""
    minutes: Positive = 1440
    """Time limit of a Slurm job."""
    restarts: Annotated[int, Limit(0, 10_000)] = 10
    """How often a run goes on by itself: with ray after a lost process, with slurm after its time limit."""


class RunConfig(Options, frozen=True):
    """`norm` is `shared` (recalibrated before use) or `per_width` (each width has batch norms of its own)."""

    space: str
    """A name from configs/spaces, or a file."""
    data: DataConfig
    seed: Count = 0
    """All random numbers follow from it."""
    init: str = ""
    """A checkpoint of a member of the space, whose weights the supernet starts with."""
    init_spec: str = ""
    """The member it belongs to; empty: the space's largest."""
    norm: Annotated[str, Choice(("shared", "per_width"))] = "shared"
    """Batch norms: shared by all subnets, or of its own for each width."""
    sync_norm: bool = False
    """Whether batch norms in training see the images of all processes."""
    ema: Annotated[float, Limit(0, 0.999999)] | None = None
    """How much of the running average of the weights stays at each step; null: there is none."""
    augment: AugmentConfig = AugmentConfig()
    step: StepConfig = StepConfig()
    phases: tuple[PhaseConfig, ...] = ()
    """Which dimensions are elastic when; none: all are from the start."""
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    precision: PrecisionConfig = PrecisionConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    log: LogConfig = LogConfig()
    processes: ProcessesConfig = ProcessesConfig()

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
