"""The network that a file is made from, and what is known of it: by a run of retrain.py, or by a spec and options."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from msgspec.structs import replace

from supernet import NetSpec, Network, build, load_spec, load_weights
from supernet.values import counted, printable
from training.config import AugmentConfig
from training.network_config import NetworkConfig
from training.network_folder import CLASSES, RESULTS, WEIGHTS

from .errors import DeployError
from .tracing import Shape

SPEC, CONFIG = "spec.yaml", "config.yaml"
"""Of a run; the other files' names are those of training.network_folder."""


@dataclass(frozen=True)
class Origin:
    """`net` is in evaluation mode and not fused. `classes` is empty where nobody said their names."""

    name: str
    net: Network
    classes: tuple[str, ...]
    augment: AugmentConfig
    """How an image is cut and normalised for this network."""
    config: NetworkConfig | None
    """Of the run; None for a spec."""

    @property
    def spec(self) -> NetSpec:
        return self.net.spec

    @property
    def shape(self) -> Shape:
        return (1, self.spec.in_chans, *self.spec.size)


def add_origin_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "origin",
        metavar="RUN|SPEC",
        help="a folder of retrain.py, or a published name (see `python -m supernet list`) or a YAML file",
    )
    command.add_argument("--weights", metavar="FILE", help="of a SPEC; without it, fresh weights, always the same")
    command.add_argument("--labels", metavar="FILE", type=Path, help="the names of the classes, one a line")
    for name, what in (("mean", "is subtracted from"), ("std", "they are divided by then")):
        help_ = f"of a SPEC: what {what} red, green and blue from 0 to 1 (default: ImageNet's)"
        command.add_argument(f"--{name}", type=float, nargs=3, metavar=("R", "G", "B"), help=help_)
    command.add_argument(
        "--resolution", type=int, metavar="PIXELS", help="the side of the image; that of RUN or SPEC if not given"
    )


def read_origin(args: argparse.Namespace) -> Origin:
    folder = Path(args.origin)
    if folder.is_dir():
        given = [f"--{name}" for name in ("weights", "mean", "std") if getattr(args, name) is not None]
        if given:
            raise DeployError(f"{given[0]} is for a SPEC: {printable(args.origin)} is a run, which has its own")
        return open_run(folder, resolution=args.resolution, labels=args.labels)
    spec = _resized(load_spec(args.origin), args.resolution)
    normalisation = {name: tuple(getattr(args, name)) for name in ("mean", "std") if getattr(args, name) is not None}
    augment = replace(AugmentConfig(), **normalisation)
    from training.data.transforms import check_augment

    check_augment(augment)
    classes = () if args.labels is None else read_classes(args.labels, spec.num_classes)
    return Origin(args.origin, _network(spec, args.weights), classes, augment, None)


def open_run(folder: Path, *, resolution: int | None = None, labels: Path | None = None) -> Origin:
    """Raises SpecError or DeployError where it is not one that ended well."""
    from training.reading import load_network_config

    for name in (CONFIG, SPEC, WEIGHTS, RESULTS):
        if not (folder / name).is_file():
            raise DeployError(f"{printable(str(folder))} is no finished run of retrain.py: {name} is missing")
    config = load_network_config(folder / CONFIG)
    spec = _resized(load_spec(folder / SPEC), resolution)
    names = labels or (folder / CLASSES if (folder / CLASSES).is_file() else None)
    classes = () if names is None else read_classes(names, spec.num_classes)
    return Origin(folder.resolve().name, _network(spec, folder / WEIGHTS), classes, config.augment, config)


def read_classes(path: Path, num_classes: int) -> tuple[str, ...]:
    """The names of all classes of a network, in their order. Raises DeployError."""
    here = printable(str(path))
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise DeployError(f"{here}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DeployError(f"{here} can't be read as names of classes: {error}") from None
    classes = tuple(line.strip() for line in lines)
    if "" in classes:
        raise DeployError(f"{here}: line {classes.index('') + 1} is empty; each line is the name of a class")
    if len(classes) != num_classes:
        words = "1 class" if num_classes == 1 else f"{num_classes:,} classes"
        raise DeployError(f"{here} has {counted(len(classes), 'name')}, the network has {words}")
    return classes


def _resized(spec: NetSpec, resolution: int | None) -> NetSpec:
    return spec if resolution is None else spec.with_(resolution=resolution)


def _network(spec: NetSpec, weights: str | Path | None) -> Network:
    """With weights from a file, or fresh ones that are the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = build(spec)
    if weights is not None:
        report = load_weights(net, weights)
        if any(change.startswith("classifier reset") for change in report.changed):
            raise DeployError(
                f"{printable(str(weights))} is for another number of classes than this network's {spec.num_classes:,}"
            )
    return net.eval()
