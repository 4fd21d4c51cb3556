"""Weights into a network and out of it: ours, timm's or the authors' names, another class count, another resolution."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

import torch
from timm.models import adapt_input_conv
from torch import Tensor

from ..layers import PositionBias
from ..network import Network
from ..options import Size, SpecError, area
from ..reading import format_spec, parse_spec
from ..spec import NetSpec
from .files import SPEC_KEY, State, WeightsError, read_state, write_state
from .official import official_to_timm
from .resize import resize_position_bias, resize_position_table, square_of
from .ties import timm_ties
from .translate import Translation

_LOG = logging.getLogger("supernet")
_COUNTER = "num_batches_tracked"
"""Of no consequence with the usual momentum, and some files lack it."""
_IGNORED = "attention_bias_idxs"
"""Index tables that some checkpoints keep; ours follow from the resolution."""


@dataclass
class LoadReport:
    """What became of a checkpoint's tensors."""

    names: str
    """Whose names they had: own, timm, official."""
    loaded: int = 0
    changed: list[str] = field(default_factory=list)
    """What was reset or resized to fit, in words."""
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{self.loaded} tensors loaded by {self.names} names", *self.changed, *self.problems()]
        return "\n".join(lines)

    def problems(self) -> list[str]:
        groups = (
            ("missing in the file", self.missing),
            ("not in the network", self.unexpected),
            ("of another shape", self.misshapen),
        )
        return [f"{len(names)} {what}: {_listed(names)}" for what, names in groups if names]


def load_weights(net: Network, path: str | Path, *, strict: bool = True, ema: bool = True) -> LoadReport:
    """Reads a checkpoint into a network built from a spec.

    A classifier for another number of classes keeps its fresh weights, and position tables are interpolated to the
    network's resolution; both are reported and logged. If anything else is missing, left over or of another shape,
    WeightsError lists it and the network stays as it was; with `strict=False`, what fits is loaded and the rest
    reported. Of a training checkpoint, the averaged weights are taken unless `ema` is False.
    """
    state, metadata = read_state(path, ema)
    state = {name: tensor for name, tensor in state.items() if not name.endswith(_IGNORED)}
    own = net.state_dict()
    names, found, left = in_own_names(net.spec, state, own, path)
    report = LoadReport(names)
    report.unexpected = sorted(name for name, is_classifier in left.items() if net.num_classes or not is_classifier)
    if len(report.unexpected) < len(left):
        report.changed.append("classifier left out: the network has none")
    fitting = _fit(net, found, own, _sizes_in_file(metadata), report)
    report.missing = sorted(name for name in own if name not in found and not name.endswith(_COUNTER))
    report.loaded = len(fitting)
    if report.problems() and strict:
        hint = _hint(net.spec, report)
        raise WeightsError(f"{path}: does not fit the network. " + "; ".join(report.problems()) + hint)
    net.load_state_dict(fitting, strict=False)
    for line in (*report.changed, *report.problems()):
        _LOG.warning("%s: %s", path, line)
    return report


def save_weights(net: Network, path: str | Path, names: str = "timm") -> None:
    """Writes the weights under timm's names (timm loads them) or our own. `.safetensors` also keeps the spec."""
    metadata = {"format": "pt", SPEC_KEY: format_spec(net.spec)}
    state = net.state_dict()
    if names == "own":
        write_state(state, path, metadata)
        return
    if names != "timm":
        raise ValueError(f"names {names!r} is not one of 'timm', 'own'")
    if net.spec.family == "efficientformer":  # timm keeps the index of these tables among the weights
        state |= {name: buffer for name, buffer in net.named_buffers() if name.endswith("bias.index")}
    try:
        theirs = Translation(timm_ties(net.spec), state).to_theirs()
    except KeyError as error:
        raise ValueError(f"{error.args[0]}; a fused network can only be saved with names='own'") from None
    write_state(theirs, path, metadata)


def in_own_names(spec: NetSpec, state: State, own: State, path: str | Path) -> tuple[str, State, dict[str, bool]]:
    """Whose names a checkpoint uses, its tensors in ours, and what has no counterpart: whether it is a classifier's."""
    ties = timm_ties(spec) if spec.family != "hybrid" else []
    try:
        translation = Translation(ties, own) if ties else None
    except KeyError:  # a fused network, whose tensors only have our names
        translation = None
    best: tuple[int, str, State, dict[str, str]] = (0, "", {}, {})
    for naming in ("own", "timm", "official") if translation else ("own",):
        renamed = {name: official_to_timm(name, spec.family) if naming == "official" else name for name in state}
        known = own if naming == "own" or translation is None else translation.groups
        left = {name: new for name, new in renamed.items() if new not in known}
        if len(state) - len(left) > best[0]:
            by_name = {renamed[name]: tensor for name, tensor in state.items() if name not in left}
            converted = by_name if naming == "own" or translation is None else translation.to_own(by_name)
            best = (len(state) - len(left), naming, converted, left)
    score, naming, found, left = best
    if score == 0:
        first = ", ".join(sorted(state)[:3])
        raise WeightsError(f"{path}: none of its {len(state)} tensors belongs to this network; they begin with {first}")
    classifier = tuple(f"{tie.theirs}." for tie in ties if tie.own[0].startswith("head.classifier."))
    prefixes = ("head.classifier.",) if naming == "own" else classifier
    return naming, found, {name: new.startswith(prefixes) for name, new in left.items()}


def _fit(net: Network, found: State, own: State, old_sizes: dict[str, Size], report: LoadReport) -> State:
    """What can be loaded, adapted where a rule exists; everything else goes into the report."""
    fitting: State = {}
    resized: list[str] = []
    sizes = _map_sizes(net)
    reset: list[Tensor] = []
    scores = net.spec.head.scores_layers(net.spec.distilled)
    for name, tensor in found.items():
        target = own[name]
        if tensor.shape != target.shape and _squeezed(tensor) == _squeezed(target):
            tensor = tensor.reshape(target.shape)
        if tensor.shape == target.shape and old_sizes.get(name) in (None, sizes.get(name)):
            fitting[name] = tensor
        elif name.rpartition(".")[0] in scores and tensor.shape[1:] == target.shape[1:]:
            reset.append(tensor)
        elif name.endswith("bias.table") and tensor.ndim == 2 and tensor.shape[0] == target.shape[0]:
            old = old_sizes.get(name) or square_of(tensor.shape[1])
            if old is None or area(old) != tensor.shape[1]:
                report.misshapen.append(f"{name} (of {tensor.shape[1]} distances, which is no square)")
            else:
                fitting[name] = resize_position_bias(tensor, old, sizes[name])
                resized.append(name)
        elif name.endswith("position.table") and tensor.ndim == 4 and tensor.shape[1] == target.shape[1]:
            fitting[name] = resize_position_table(tensor, (target.shape[2], target.shape[3]))
            resized.append(name)
        elif name == "stem.conv1.conv.weight" and tensor.shape[1] == 3 and tensor.shape[2:] == target.shape[2:]:
            fitting[name] = adapt_input_conv(net.spec.in_chans, tensor)
            report.changed.append(f"first convolution changed from 3 to {net.spec.in_chans} input channels")
        else:
            report.misshapen.append(f"{name} ({_dims(tensor)} in the file, {_dims(target)} here)")
    if reset:
        report.changed.append(
            f"classifier reset: the file has {reset[0].shape[0]} classes, the network {net.num_classes}; "
            "its weights are the network's own"
        )
    if resized:
        height, width = net.spec.size
        report.changed.append(f"{len(resized)} position tables interpolated to resolution {height}x{width}")
    return fitting


def _map_sizes(net: Network) -> dict[str, Size]:
    """The map of each position-bias table."""
    return {f"{name}.table": module.size for name, module in net.named_modules() if isinstance(module, PositionBias)}


def _sizes_in_file(metadata: dict[str, str]) -> dict[str, Size]:
    """The same for the network the file was written for, if it tells its spec."""
    try:
        spec = parse_spec(metadata[SPEC_KEY])
    except (KeyError, SpecError):
        return {}
    with torch.device("meta"):
        return _map_sizes(Network(spec))


def _hint(spec: NetSpec, report: LoadReport) -> str:
    if any(name in ("head_dist.weight", "head.head_dist.l.weight") for name in report.unexpected):
        return ". The file has a second classifier for distillation: set `distilled: true` in the spec"
    if report.missing and all(name.startswith("head.classifier.second") for name in report.missing):
        return ". The file has one classifier: set `distilled: false` in the spec"
    return ""


def _squeezed(tensor: Tensor) -> list[int]:
    return [length for length in tensor.shape if length != 1]


def _dims(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"


def _listed(names: list[str], most: int = 8) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
