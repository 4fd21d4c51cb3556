"""Tensors of a checkpoint made to fit a network: whose names they have, and what may be reset, resized or left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import torch
from torch import Tensor

from ..layers import PositionBias
from ..network import Network
from ..options import Size, area
from ..reading import parse_spec
from ..spec import NetSpec
from ..values import SpecError, printable
from .files import SPEC_KEY, State, WeightsError
from .official import official_to_timm
from .resize import resize_position_bias, resize_position_table, square_of
from .ties import Tie, timm_ties
from .translate import Translation

_COUNTER = "num_batches_tracked"
"""Of no consequence with the usual momentum, and some files lack it."""
_INDEX = "attention_bias_idxs"
"""Tables that some checkpoints keep; ours follow from the resolution."""
_HEAD_LAYOUT = ("heads", "key_width", "value_width", "head_width")
_MAY_DIFFER = ("resolution", "num_classes", "in_chans", "distilled")


@dataclass
class LoadReport:
    """What became of a checkpoint's tensors."""

    names: str = ""
    """Whose names they had: own, timm, official."""
    loaded: int = 0
    changed: list[str] = field(default_factory=list)
    """What was reset, resized or left out to fit, in words."""
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)
    other_network: list[str] = field(default_factory=list)
    """Where attention heads are laid out otherwise, so that equal shapes mean something else."""

    def __str__(self) -> str:
        return "\n".join([f"{self.loaded} tensors loaded by {self.names} names", *self.changed, *self.problems()])

    def problems(self) -> list[str]:
        groups = (
            ("missing in the file", self.missing),
            ("not in the network", self.unexpected),
            ("of another shape", self.misshapen),
            ("written for other attention heads", self.other_network),
        )
        return [f"{len(names)} {what}: {_listed(names)}" for what, names in groups if names]

    def hint(self) -> str:
        """What in the spec would probably help."""
        if any(name in ("head_dist.weight", "head.head_dist.l.weight") for name in self.unexpected):
            return ". The file has a second classifier for distillation: set `distilled: true` in the spec"
        if self.missing and all(name.startswith("head.classifier.second") for name in self.missing):
            return ". The file has one classifier: set `distilled: false` in the spec"
        return ""


def fit_state(net: Network, state: State, metadata: dict[str, str], path: str) -> tuple[State, LoadReport]:
    """What of a checkpoint can be loaded into `net`, under our names, and the report on all of it."""
    state = {name: tensor for name, tensor in state.items() if not name.endswith(_INDEX)}
    own = net.state_dict()
    written_for = _spec_in_file(metadata)
    report = LoadReport()
    found, spoiled = _in_own_names(net, state, own, report, path)
    fitting = _adapted(net, found, own, _map_sizes_of(written_for), report)
    absent = set(own) - set(found) - spoiled
    report.missing = sorted(name for name in absent if not name.endswith(_COUNTER))
    report.loaded = len(fitting)
    if written_for is not None:
        _compare(written_for, net.spec, report)
    return fitting, report


def _in_own_names(net: Network, state: State, own: State, report: LoadReport, path: str) -> tuple[State, set[str]]:
    """The tensors under our names, by whichever naming fits most of them; and ours that a misshapen one would be."""
    ties, translation = _translation(net.spec, own)
    best: dict[str, str] | None = None
    for naming in ("own", "timm", "official") if translation else ("own",):
        renamed = {name: official_to_timm(name, net.spec.family) if naming == "official" else name for name in state}
        known = own if naming == "own" or translation is None else translation.groups
        matched = {name: new for name, new in renamed.items() if new in known}
        if len(matched) > len(best or ()):
            best, report.names, left = matched, naming, {n: new for n, new in renamed.items() if new not in known}
    if not best:
        first = _listed(sorted(state), most=3)
        raise WeightsError(f"{path}: none of its {len(state)} tensors belongs to this network; they begin with {first}")
    theirs = tuple(f"{tie.theirs}." for tie in ties if tie.own[0].startswith("head.classifier."))
    classifier = ("head.classifier.",) if report.names == "own" else theirs
    report.unexpected = sorted(name for name, new in left.items() if net.num_classes or not new.startswith(classifier))
    if len(report.unexpected) < len(left):
        report.changed.append("classifier left out: the network has none")
    by_name = {new: state[name] for name, new in best.items()}
    if report.names == "own" or translation is None:
        return by_name, set()
    found, unfit = translation.to_own(by_name)
    for name, shape in unfit.items():
        report.misshapen.append(f"{name} ({_dims(by_name[name].shape)} in the file, {_dims(shape)} here)")
    return found, translation.parts_of(unfit)


def _translation(spec: NetSpec, own: State) -> tuple[list[Tie], Translation | None]:
    try:
        ties = timm_ties(spec)
        return ties, Translation(ties, own)
    except (KeyError, ValueError):  # a fused network or one that timm can't have: only our names
        return [], None


def _adapted(net: Network, found: State, own: State, old_sizes: dict[str, Size], report: LoadReport) -> State:
    """What can be loaded, adapted where a rule exists; everything else goes into the report."""
    fitting: State = {}
    resized: list[str] = []
    reset: list[Tensor] = []
    sizes = _map_sizes(net)
    scores = net.spec.head.scores_layers(net.spec.distilled)
    for name, tensor in found.items():
        target = own[name]
        if tensor.shape != target.shape and _squeezed(tensor) == _squeezed(target):
            tensor = tensor.reshape(target.shape)
        if tensor.shape == target.shape and old_sizes.get(name) in (None, sizes.get(name)):
            fitting[name] = tensor
        elif name.rpartition(".")[0] in scores and tensor.shape[1:] == target.shape[1:]:
            reset.append(tensor)
        elif name in sizes and tensor.ndim == 2 and tensor.shape[0] == target.shape[0]:
            old = old_sizes.get(name) or square_of(tensor.shape[1])
            if old is None or area(old) != tensor.shape[1]:
                report.misshapen.append(f"{name} (of {tensor.shape[1]} distances, which is no square)")
            else:
                fitting[name] = resize_position_bias(tensor, old, sizes[name])
                resized.append(name)
        elif name.endswith("position.table") and tensor.ndim == 4 and tensor.shape[:2] == target.shape[:2]:
            fitting[name] = resize_position_table(tensor, (target.shape[2], target.shape[3]))
            resized.append(name)
        elif name == "stem.conv1.conv.weight" and _only_other_channels(tensor, target):
            from timm.models import adapt_input_conv

            fitting[name] = adapt_input_conv(net.spec.in_chans, tensor)
            report.changed.append(f"first convolution changed from 3 to {net.spec.in_chans} input channels")
        else:
            report.misshapen.append(f"{name} ({_dims(tensor.shape)} in the file, {_dims(target.shape)} here)")
    if reset:
        report.changed.append(
            f"classifier reset: the file has {reset[0].shape[0]} classes, the network {net.num_classes}; "
            "its weights are the network's own"
        )
    if resized:
        height, width = net.spec.size
        report.changed.append(f"{len(resized)} position tables interpolated to resolution {height}x{width}")
    return fitting


def _only_other_channels(tensor: Tensor, target: Tensor) -> bool:
    same = tensor.ndim == 4 and tensor.shape[0] == target.shape[0] and tensor.shape[2:] == target.shape[2:]
    return same and tensor.shape[1] == 3 != target.shape[1]


def _map_sizes(net: Network) -> dict[str, Size]:
    """The map of each position-bias table."""
    return {f"{name}.table": module.grid for name, module in net.named_modules() if isinstance(module, PositionBias)}


def _map_sizes_of(spec: NetSpec | None) -> dict[str, Size]:
    if spec is None:
        return {}
    with torch.device("meta"):
        return _map_sizes(Network(spec))


def _spec_in_file(metadata: dict[str, str]) -> NetSpec | None:
    try:
        return parse_spec(metadata[SPEC_KEY])
    except (KeyError, SpecError):
        return None


def _compare(written_for: NetSpec, here: NetSpec, report: LoadReport) -> None:
    """Tensors of equal shape can belong to different networks: other heads, windows, strides."""
    theirs, ours = (msgspec.to_builtins(spec) for spec in (written_for, here))
    for path, in_file, now in _differences(theirs, ours, ""):
        leaf = path.rpartition(".")[2].partition("[")[0]
        if leaf in _HEAD_LAYOUT:
            report.other_network.append(f"{path} ({in_file} in the file, {now} here)")
        elif leaf not in (*_MAY_DIFFER, "layer_scale"):
            report.changed.append(f"the file's network differs: {path} is {in_file} there, {now} here")


def _differences(one: Any, other: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(one, dict) and isinstance(other, dict):
        for name in one.keys() | other.keys():
            yield from _differences(one.get(name), other.get(name), f"{path}.{name}" if path else name)
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple):
        for index, (a, b) in enumerate(zip(one, other, strict=False)):  # missing blocks show in the tensors
            yield from _differences(a, b, f"{path}[{index}]")
    elif one != other:
        yield path, one, other


def _squeezed(tensor: Tensor) -> list[int]:
    return [length for length in tensor.shape if length != 1]


def _dims(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape)) or "a number"


def _listed(names: list[str], most: int = 8) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(printable(name) for name in names[:most]) + rest
