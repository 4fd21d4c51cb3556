"""Whole networks side by side on one device: ours, and any of timm's."""

from __future__ import annotations

import functools
import multiprocessing
import random
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from supernet import SpecError, build, count, fuse, load_spec
from supernet.values import did_you_mean, first_line

from .devices.base import Device
from .protocol import Protocol, burst

TIMM = "timm:"


@dataclass(frozen=True)
class Peer:
    """What is measured in place of a plan's item. A name that begins with `timm:` is one of timm's models."""

    name: str
    resolution: int | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        return _shape(self)

    def module(self) -> nn.Module:
        """In the form that is shipped."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            if not self.name.startswith(TIMM):
                return fuse(build(self._spec()))
            import timm
            from timm.utils import reparameterize_model

            return reparameterize_model(timm.create_model(self.name.removeprefix(TIMM)).eval())

    def _spec(self) -> Any:
        spec = load_spec(self.name)
        return spec if self.resolution is None else spec.with_(resolution=self.resolution)

    def params(self) -> int:
        if self.name.startswith(TIMM):
            return sum(parameter.numel() for parameter in self.module().parameters())
        return count(self._spec()).params


@functools.cache
def _shape(peer: Peer) -> tuple[int, int, int]:
    if not peer.name.startswith(TIMM):
        spec = peer._spec()
        return (spec.in_chans, *spec.size)
    import timm

    name = peer.name.removeprefix(TIMM)
    if not timm.is_model(name):
        raise SpecError("MODEL", f"{name!r} is no model of timm's, {did_you_mean(name, timm.list_models())}")
    known = timm.get_pretrained_cfg(name)
    channels, height, width = known.input_size if known is not None else (3, 224, 224)
    return (channels, height, width) if peer.resolution is None else (channels, peer.resolution, peer.resolution)


def measure_peers(
    peers: Sequence[Peer], device: Device, protocol: Protocol, batch: int, jobs: int
) -> list[dict[str, Any]]:
    """Rounds over all of them in random order. With several jobs, as many processes run the same network at the same
    time; images a second are those of all."""
    with tempfile.TemporaryDirectory() as folder:
        files = [_export(peer, device, Path(folder) / f"{number}.onnx", batch) for number, peer in enumerate(peers)]
        tasks = (peers, files, device, protocol, batch)
        if jobs == 1:
            found = [_medians(*tasks, None)]
        else:
            context = multiprocessing.get_context("spawn")
            with context.Manager() as manager:
                barrier = manager.Barrier(jobs)
                with context.Pool(jobs) as pool:
                    found = pool.starmap(_medians, [(*tasks, barrier)] * jobs)
    rows = []
    for number, peer in enumerate(peers):
        ms = sorted(median for one in found for median in one[number])
        each = [statistics.median(one[number]) for one in found]
        rows.append(
            {
                "model": peer.name,
                "resolution": peer.shape[1],
                "params_m": peer.params() / 1e6,
                "ms": statistics.median(ms),
                "low_ms": ms[len(ms) // 4],
                "high_ms": ms[-1 - len(ms) // 4],
                "images_per_second": sum(1e3 * batch / one for one in each),
                "batch": batch,
                "jobs": jobs,
            }
        )
    return rows


def _export(peer: Peer, device: Device, path: Path, batch: int) -> Path | None:
    if device.form is None:
        return None
    import deploy

    try:
        deploy.export_onnx(peer.module(), (batch, *peer.shape), path)
    except (RuntimeError, ValueError, TypeError) as error:
        raise SpecError(peer.name, f"can't be exported: {first_line(error)}") from None
    return path


def _medians(
    peers: Sequence[Peer], files: Sequence[Path | None], device: Device, protocol: Protocol, batch: int, barrier: Any
) -> list[list[float]]:
    """For each of them, the median of each round."""
    found: list[list[float]] = [[] for _ in peers]
    runs = [device.ready(peer, file, batch) for peer, file in zip(peers, files, strict=True)]
    for round_ in range(protocol.rounds):
        order = list(range(len(peers)))
        random.Random(f"{protocol.seed} {round_}").shuffle(order)
        for number in order:
            if barrier is not None:
                barrier.wait(timeout=600)
            found[number].append(burst(runs[number], device.clocks, protocol).median_ms)
    return found
