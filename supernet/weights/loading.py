"""Weights into a network and out of it."""

from __future__ import annotations

import logging
from pathlib import Path

from torch import nn

from ..network import plain_network
from ..reading import format_spec
from .files import SPEC_KEY, WeightsError, read_state, write_state
from .fitting import LoadReport, fit_state
from .ties import timm_ties
from .translate import Translation

_LOG = logging.getLogger("supernet")


def load_weights(net: nn.Module, path: str | Path, *, strict: bool = True, ema: bool = True) -> LoadReport:
    """Reads a checkpoint into a network built from a spec.

    A classifier for another number of classes keeps its fresh weights, and position tables are interpolated to the
    network's resolution; both are reported and logged. If anything else is missing, left over or of another shape,
    WeightsError lists it and the network stays as it was; with `strict=False`, what fits is loaded and the rest
    reported. Of a training checkpoint, the averaged weights are taken unless `ema` is False.
    """
    inner = plain_network(net)
    if any(parameter.is_meta for parameter in inner.parameters()):
        raise ValueError(
            "this network is on the meta device and has no memory for weights; net.to_empty(device='cpu') first"
        )
    state, metadata = read_state(path, ema)
    fitting, report = fit_state(inner, state, metadata, str(path))
    check_report(report, str(path), strict)
    inner.load_state_dict(fitting, strict=False)
    return report


def check_report(report: LoadReport, path: str, strict: bool) -> None:
    """Raises for problems if `strict`; logs what else there is to say."""
    if strict and report.problems():
        raise WeightsError(f"{path}: does not fit the network. {'; '.join(report.problems())}{report.hint()}")
    for line in (*report.changed, *report.problems()):
        _LOG.warning("%s: %s", path, line)


def save_weights(net: nn.Module, path: str | Path, names: str = "timm") -> None:
    """Writes the weights under timm's names (timm loads them) or our own. `.safetensors` also keeps the spec."""
    if names not in ("timm", "own"):
        raise ValueError(f"names {names!r} is not one of 'timm', 'own'")
    inner = plain_network(net)
    state = inner.state_dict()
    metadata = {"format": "pt", SPEC_KEY: format_spec(inner.spec)}
    if names == "timm":
        if inner.spec.family == "efficientformer":  # timm keeps the index of these tables among the weights
            state |= {name: buffer for name, buffer in inner.named_buffers() if name.endswith("bias.index")}
        try:
            state = Translation(timm_ties(inner.spec), state).to_theirs()
        except KeyError as error:
            raise ValueError(f"{error.args[0]}; a fused network can only be saved with names='own'") from None
    write_state(state, path, metadata)
