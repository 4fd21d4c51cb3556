"""What a run of training is, as typed and frozen options. One YAML file is one experiment; `--set` changes a value."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from msgspec.structs import replace

from supernet.options import Options
from supernet.values import Choice, Limit

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

    def with_absolute_paths(self) -> Self:
        return replace(self, weights=absolute(self.weights))


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
    cosine_from: Annotated[str, Choice(("start", "warmup"))] = "start"
    """Where the cosine begins: with the warm-up, which hides its first part, as in timm; or after it."""
    cooldown_epochs: Count = 0
    """At the lowest rate, after all others."""


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
    """What every run of training has, whatever is trained."""

    data: DataConfig
    seed: Count = 0
    """All random numbers follow from it."""
    sync_norm: bool = False
    """Whether batch norms in training see the images of all processes."""
    ema: Annotated[float, Limit(0, 0.999999)] | None = None
    """How much of the running average of the weights stays at each step; null: there is none."""
    augment: AugmentConfig = AugmentConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    precision: PrecisionConfig = PrecisionConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    log: LogConfig = LogConfig()
    processes: ProcessesConfig = ProcessesConfig()

    def with_absolute_paths(self) -> Self:
        """Processes on a cluster start in other directories."""
        return replace(self, data=replace(self.data, path=absolute(self.data.path)))


def absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute()) if path else ""


def absolute_if_file(name: str) -> str:
    """A name of something published stays as it is."""
    is_path = any(mark in name for mark in "/\\") or Path(name).suffix.lower() in (".yaml", ".yml")
    return absolute(name) if is_path else name
