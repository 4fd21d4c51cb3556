"""How many images a network judges in a second: the network alone, on images that lie on its device already."""

from __future__ import annotations

import statistics
import time
from typing import NamedTuple

import torch
from torch import nn

from supernet.options import Size

from ..precision import Precision

ROUNDS = 7
ROUND_S = 0.2
"""A round is at least this long, so that clocks and launches don't matter."""
_WARM_UP = 2


class Throughput(NamedTuple):
    """Images per second of each round, and their median; `spread` is half of the middle half, as a share of it."""

    images_per_second: float
    spread: float
    batch_size: int
    rounds: tuple[float, ...]


@torch.inference_mode()
def throughput(
    net: nn.Module,
    size: Size,
    *,
    in_chans: int = 3,
    batch_size: int = 64,
    precision: Precision | None = None,
    rounds: int = ROUNDS,
    round_s: float = ROUND_S,
) -> Throughput:
    """In evaluation mode, in the numbers and the memory layout of `precision`."""
    precision = precision or Precision()
    net.eval()
    images = precision.place(torch.randn(batch_size, in_chans, *size))

    def seconds(batches: int) -> float:
        _finish(precision.device)
        begin = time.perf_counter()
        for _ in range(batches):
            with precision.autocast():
                net(images)
        _finish(precision.device)
        return time.perf_counter() - begin

    seconds(_WARM_UP)
    batches = max(1, round(round_s / max(seconds(1), 1e-9)))
    speeds = tuple(batch_size * batches / seconds(batches) for _ in range(rounds))
    median = statistics.median(speeds)
    quarters = statistics.quantiles(speeds, n=4) if rounds > 1 else (median,) * 3
    return Throughput(median, (quarters[2] - quarters[0]) / 2 / median, batch_size, speeds)


def _finish(device: torch.device) -> None:
    """What was asked of a GPU is done only then."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
