"""Whole networks side by side on one device: ours, and any of timm's."""

from __future__ import annotations

import functools
import multiprocessing
import random
import signal
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from supernet import NetSpec, SpecError, build, count, fuse, load_spec
from supernet.values import UserError, did_you_mean, first_line, show

from .devices.base import Device, Run, wall_clocks
from .exporting import FORMS
from .protocol import Burst, Protocol, burst

TIMM = "timm:"


@dataclass(frozen=True)
class Peer:
    """What is measured in place of a plan's item. A name that begins with `timm:` is one of timm's models."""

    name: str
    resolution: int | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def shape(self) -> tuple[int, int, int]:
        return _shape(self)

    def module(self) -> nn.Module:
        """In the form that is shipped."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            if not self.name.startswith(TIMM):
                return fuse(build(self.spec))
            from timm.utils import reparameterize_model

            return reparameterize_model(self._timm_model().eval())

    @property
    def spec(self) -> NetSpec:
        spec = load_spec(self.name)
        return spec if self.resolution is None else spec.with_(resolution=self.resolution)

    def _timm_model(self) -> nn.Module:
        import timm

        name = self.name.removeprefix(TIMM)
        if self.shape == Peer(self.name).shape:
            return timm.create_model(name)
        try:
            return timm.create_model(name, img_size=self.shape[1:])  # those that are made for one size
        except TypeError:
            return timm.create_model(name)

    def params(self) -> int:
        if self.name.startswith(TIMM):
            return sum(parameter.numel() for parameter in self.module().parameters())
        return count(self.spec).params


@functools.cache
def _shape(peer: Peer) -> tuple[int, int, int]:
    if not peer.name.startswith(TIMM):
        return (peer.spec.in_chans, *peer.spec.size)
    import timm

    name = peer.name.removeprefix(TIMM)
    if not timm.is_model(name):
        raise SpecError("", f"{show(name)} is no model of timm's, {did_you_mean(name, timm.list_models())}")
    known = timm.get_pretrained_cfg(name)
    channels, height, width = known.input_size if known is not None else (3, 224, 224)
    return (channels, height, width) if peer.resolution is None else (channels, peer.resolution, peer.resolution)


class Found(NamedTuple):
    """`failed` has a reason for each network that could not be measured; the others have a row."""

    rows: list[dict[str, Any]]
    failed: dict[Peer, str]


def measure_peers(peers: Sequence[Peer], device: Device, protocol: Protocol, batch: int, jobs: int) -> Found:
    """Rounds over all of them in random order. With several jobs, as many processes run the same network at the same
    time, by the clock; images a second are those of all."""
    failed: dict[Peer, str] = {}
    files: dict[Peer, Path | None] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, peer in enumerate(dict.fromkeys(peers)):
            try:
                files[peer] = _export(peer, device, Path(folder) / f"{number}{FORMS.get(device.form or '', '')}", batch)
            except Exception as error:  # models of all kinds fail in all ways, and the others are wanted all the same
                failed[peer] = _reason(error, peer)
        found = _in_processes(files, device, protocol, batch, jobs) if files else []
    for one in found:
        failed |= {peer: outcome for peer, outcome in one.items() if isinstance(outcome, str)}
    rows = []
    for peer in files:
        if peer not in failed:
            bursts = [one[peer] for one in found]
            rows.append(_row(peer, [one for one in bursts if not isinstance(one, str)], batch, jobs))
    return Found(rows, failed)


def _row(peer: Peer, found: Sequence[Sequence[Burst]], batch: int, jobs: int) -> dict[str, Any]:
    """From the medians of the rounds of each process; a single one has the quartiles of its runs."""
    medians = [[burst.median_ms for burst in one] for one in found]
    ms = sorted(median for one in medians for median in one)
    low_ms, high_ms = (ms[len(ms) // 4], ms[-1 - len(ms) // 4]) if len(ms) > 1 else found[0][0][1:3]
    return {
        "model": peer.name,
        "resolution": peer.shape[1],
        "params_m": peer.params() / 1e6,
        "ms": statistics.median(ms),
        "low_ms": low_ms,
        "high_ms": high_ms,
        "images_per_second": sum(1e3 * batch / statistics.median(one) for one in medians),
        "batch": batch,
        "jobs": jobs,
    }


def _export(peer: Peer, device: Device, path: Path, batch: int) -> Path | None:
    """SpecError where there is no such network."""
    shape = (batch, *peer.shape)
    if device.form is None:
        return None
    import deploy

    write = deploy.export_coreml if device.form == "coreml" else deploy.export_onnx
    write(peer.module(), shape, path)
    return path


def _reason(error: Exception, peer: Peer) -> str:
    """Without the name, which stands before it."""
    if isinstance(error, SpecError) and error.path == peer.name:
        return error.message
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {first_line(error)}"


# --- in each process -------------------------------------------------------------------------------------------------

Outcomes = dict[Peer, "list[Burst] | str"]
"""One of each round, or why there is none."""


def _in_processes(
    files: dict[Peer, Path | None], device: Device, protocol: Protocol, batch: int, jobs: int
) -> list[Outcomes]:
    task = (files, device, protocol, batch)
    if jobs == 1:
        return [_measured(*task, None)]
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(jobs)
    processes: list[Any] = []
    waiting: list[Any] = []
    found: list[Outcomes] = []
    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)  # they inherit it: this process sees to their end
    try:
        for _ in range(jobs):
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(theirs, *task, barrier), daemon=True)
            process.start()
            theirs.close()
            processes.append(process)
            waiting.append(ours)
        signal.signal(signal.SIGINT, usual)
        while waiting:
            for ready in connection.wait(waiting):
                pipe = waiting.pop(waiting.index(ready))
                found.append(pipe.recv())
    except EOFError:
        raise SpecError("--jobs", f"one of the {jobs} processes was ended, as for lack of memory") from None
    finally:
        signal.signal(signal.SIGINT, usual)
        for process in processes:
            process.terminate()
            process.join()
    return found


def _work(pipe: Any, *task: Any) -> None:
    pipe.send(_measured(*task))
    pipe.close()


def _measured(
    files: dict[Peer, Path | None], device: Device, protocol: Protocol, batch: int, together: Any
) -> Outcomes:
    """`together` is the barrier at which several processes wait for each other."""
    found: Outcomes = {}
    runs: dict[Peer, Run] = {}
    for peer, file in files.items():
        try:
            runs[peer] = device.ready(peer, file, batch)
            runs[peer]()
            found[peer] = []
        except Exception as error:
            found[peer] = _reason(error, peer)
    clocks = device.clocks if together is None else wall_clocks
    for round_ in range(protocol.rounds):
        order = list(files)
        random.Random(f"{protocol.seed} {round_}").shuffle(order)
        for peer in order:
            if together is not None:
                together.wait()
            bursts = found[peer]
            if isinstance(bursts, list):
                bursts.append(burst(runs[peer], clocks, protocol))
    return found
