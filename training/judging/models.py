"""Trained networks by name, ready to be judged: runs of retrain.py, specs with a file of weights, timm's models."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from supernet import NetSpec, SpecError, WeightsError, build, count, load_spec, published_names
from supernet.options import Size
from supernet.timm_model import default_cfgs
from supernet.values import printable
from supernet.weights.files import read_state
from supernet.weights.fitting import fit_state
from supernet.weights.loading import check_report
from supernet.weights.official import official_to_timm
from supernet.weights.ties import timm_ties

from ..config import AugmentConfig, DataConfig
from ..network_folder import CLASSES, RESULTS, WEIGHTS, is_network_run, read_classes, read_network_setting

TIMM = "timm/"
"""What the names of timm's models begin with."""


@dataclass(frozen=True)
class Model:
    """A network in evaluation mode, and the images it knows: their size, and how they are cut and normalised."""

    name: str
    net: nn.Module
    size: Size
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop_pct: float
    interpolation: str
    num_classes: int
    params: int
    macs: int | None
    """Of one image; None for networks that are not ours."""
    weights: str
    """Where they are from."""
    in_chans: int = 3
    classes: tuple[str, ...] = ()
    """Names of the classes it was trained on; empty where nobody knows."""
    spec: NetSpec | None = None
    data: DataConfig | None = None
    """What a run was trained on, with `seed`."""
    seed: int = 0

    def augment(self, crop_pct: float | None = None) -> AugmentConfig:
        """How images are made ready for it."""
        given: dict[str, Any] = {"mean": self.mean, "std": self.std, "interpolation": self.interpolation}
        return AugmentConfig(crop_pct=self.crop_pct if crop_pct is None else crop_pct, **given)


def open_model(
    name: str,
    *,
    weights: str | Path | None = None,
    num_classes: int | None = None,
    resolution: int | Size | None = None,
) -> Model:
    """`name` is the folder of a run, a published network or the YAML file of a spec, or timm/NAME.

    `weights` take the place of a run's own or of timm's pretrained ones; a spec has none of its own. `num_classes` are
    those it must know. Raises SpecError.
    """
    if name.startswith(TIMM):
        from .timm_models import open_timm_model

        model = open_timm_model(name, weights, resolution)
    elif is_network_run(Path(name)) or (Path(name).is_dir() and name not in published_names()):
        model = _open_run(Path(name), weights, resolution)
    else:
        spec = load_spec(name)
        if weights is None:
            raise SpecError(printable(name), "is a spec and has no weights: --weights FILE, or the folder of a run")
        model = _of_spec(_short(name), spec, weights, resolution)
    if num_classes is not None:
        check_classes(model, num_classes)
    return model


def check_classes(model: Model, num_classes: int) -> None:
    if model.num_classes != num_classes:
        raise SpecError(
            printable(model.name), f"knows {model.num_classes:,} classes, and the data have {num_classes:,}"
        )


def _open_run(folder: Path, weights: str | Path | None, resolution: int | Size | None) -> Model:
    config, spec = read_network_setting(folder)
    if weights is None and not all((folder / name).is_file() for name in (WEIGHTS, RESULTS)):
        raise SpecError(printable(str(folder)), "has not finished: the same command of retrain.py goes on")
    classes, augment = read_classes(folder), config.augment
    if classes and len(classes) != spec.num_classes:
        raise SpecError(
            printable(str(folder / CLASSES)),
            f"has {len(classes):,} names, and the network {spec.num_classes:,} classes",
        )
    weights = weights or folder / WEIGHTS
    model = _of_spec(folder.resolve().name, spec, weights, resolution, num_classes=spec.num_classes)
    return replace(
        model,
        mean=augment.mean,
        std=augment.std,
        crop_pct=augment.crop_pct,
        interpolation="bilinear" if augment.interpolation == "random" else augment.interpolation,
        classes=classes,
        data=config.data,
        seed=config.seed,
    )


def _of_spec(
    name: str, spec: NetSpec, weights: str | Path, resolution: int | Size | None, num_classes: int | None = None
) -> Model:
    """For the classes that the weights know, unless others are given."""
    if resolution is not None:
        try:
            spec = spec.with_(resolution=resolution)
        except SpecError as error:
            raise SpecError("--resolution", f"{printable(name)}: {error}") from None
    state, metadata = read_state(weights)
    spec = spec.with_(num_classes=num_classes or _classes_in(state, metadata, spec) or spec.num_classes)
    if not spec.num_classes:
        raise SpecError(printable(name), "has no classifier (num_classes is 0): there are no answers to judge")
    net = build(spec)
    fitting, report = fit_state(net, state, metadata, str(weights))
    check_report(report, str(weights), strict=True)
    if any(f"{layer}.weight" not in fitting for layer in spec.head.scores_layers(spec.distilled)):
        known = _classes_in(state, metadata, spec)
        has = "has no classifier" if known is None else f"knows {known:,} classes"
        raise WeightsError(f"{weights}: {has}, and the network has {spec.num_classes:,} classes")
    net.load_state_dict(fitting, strict=False)
    counted, known_images = count(spec), default_cfgs["slimformer"].default
    return Model(
        name=name,
        net=net.eval(),
        size=spec.size,
        mean=known_images.mean,
        std=known_images.std,
        crop_pct=known_images.crop_pct,
        interpolation=known_images.interpolation,
        num_classes=spec.num_classes,
        params=counted.params,
        macs=counted.macs,
        weights=str(weights),
        in_chans=spec.in_chans,
        spec=spec,
    )


def _classes_in(state: dict[str, Any], metadata: dict[str, str], spec: NetSpec) -> int | None:
    """How many classes a file of weights knows, by whichever names its tensors have."""
    own = spec.head.scores_layers(spec.distilled)
    layers = set(own)
    with contextlib.suppress(KeyError, ValueError):  # timm has no such network: only our names
        layers |= {tie.theirs for tie in timm_ties(spec) if tie.own[0] in own}
    for name, tensor in state.items():
        for known in (name, official_to_timm(name, spec.family)):
            layer, _, kind = known.rpartition(".")
            if kind == "weight" and layer in layers:
                return int(tensor.shape[0])
    return None


def _short(name: str) -> str:
    return Path(name).stem if name.endswith((".yaml", ".yml")) else name
