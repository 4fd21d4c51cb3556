"""A subnet on the supernet against the equal static network: forward and backward, and forward alone."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from bench.timing import Comparison, Timed, in_turn
from supernet import NetSpec, Supernet

from .setting import Setting, members, static_twin

TRAINING, FORWARD = "forward+backward", "forward"
WARM_UP = 2


def compare_passes(setting: Setting) -> Iterator[dict[str, Any]]:
    """Two rows a member. `subnet(spec)` is looked up within the timed part, as whoever trains does it; gradients are
    zeroed outside of it, each network's in its own way. Before either side runs, as much memory is written as the
    supernet's gradients take: an optimiser's step leaves no caches filled to either."""
    space = setting.load()
    net = Supernet(space).to(setting.device)
    x = setting.images(space)
    elsewhere = torch.empty_like(net.gradients)
    for name, spec in members(space, setting.random):
        twin = static_twin(net, spec)
        _check_equal(net, spec, twin, x, setting)
        gc.collect()
        for kind, compare in ((TRAINING, _training), (FORWARD, _forward)):
            found = compare(net, spec, twin, x, elsewhere, setting)
            yield {"table": "passes", "pass": kind, "member": name, **setting.about(space), **found.row("static")}


def _training(
    net: Supernet, spec: NetSpec, twin: nn.Module, x: Tensor, elsewhere: Tensor, setting: Setting
) -> Comparison:
    def forward_backward(find: Callable[[], nn.Module]) -> Callable[[], None]:
        def run() -> None:
            with setting.precision.autocast():
                loss = find()(x).float().square().mean()
            loss.backward()

        return run

    net.subnet(spec).train()
    twin.train()
    ours = Timed(forward_backward(lambda: net.subnet(spec)), lambda: _as_after_a_step(net))
    static = Timed(forward_backward(lambda: twin), lambda: (twin.zero_grad(set_to_none=True), elsewhere.zero_()))
    found = _compare(ours, static, setting.pairs)
    twin.zero_grad(set_to_none=True)
    return found


def _forward(
    net: Supernet, spec: NetSpec, twin: nn.Module, x: Tensor, elsewhere: Tensor, setting: Setting
) -> Comparison:
    def forward(find: Callable[[], nn.Module]) -> Callable[[], None]:
        @torch.no_grad()
        def run() -> None:
            with setting.precision.autocast():
                find()(x)

        return run

    net.subnet(spec).eval()
    twin.eval()
    ours = Timed(forward(lambda: net.subnet(spec)), elsewhere.zero_)
    static = Timed(forward(lambda: twin), elsewhere.zero_)
    return _compare(ours, static, setting.pairs)


@torch.no_grad()
def _as_after_a_step(net: Supernet) -> None:
    """Gradients are zero, and what a subnet copied of the weights is out of date, as if an optimiser had moved them."""
    net.zero_grad()
    for parameter in net.parameters():
        parameter[:0].zero_()  # counts as a change, touches nothing


def _compare(ours: Timed, static: Timed, pairs: int) -> Comparison:
    in_turn(itertools.repeat((ours, static), WARM_UP))
    return in_turn(itertools.repeat((ours, static), pairs))


@torch.no_grad()
def _check_equal(net: Supernet, spec: NetSpec, twin: nn.Module, x: Tensor, setting: Setting) -> None:
    """A comparison of two different networks would say nothing."""
    with setting.precision.autocast():
        ours, theirs = net.subnet(spec)(x).float(), twin(x).float()
    off = float((ours - theirs).abs().max() / theirs.abs().max().clamp_min(1e-12))
    limit = 1e-3 if setting.amp == "none" else 0.1
    if not off <= limit:
        raise RuntimeError(f"the subnet and its static twin differ by {off:.2g} of their scores, not at most {limit:g}")
