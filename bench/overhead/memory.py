"""Peak memory of training: of the sandwich on a supernet, and of static networks, each in a process of its own.

What is compared is the peak less what the process had before any network was made (Python, PyTorch and the like): the
resident set, or on a GPU what PyTorch allocated. Each takes a few steps with AdamW. The supernet has more weights than
any of its members, so there are two static sides: the largest member, and the largest member beside which so many more
weights are held and trained (with gradients and AdamW's two moments) that they are as many as the supernet's.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from supernet import Space, build
from training.optimization import make_optimizer

from .setting import Setting
from .steps import ADAMW, soft_targets, static_parts, supernet_step

SUPERNET, LARGEST, AS_MANY = "supernet", "largest", "largest, as many weights"
STEPS = 3
TENSOR = 100_000
"""Elements of a tensor that is held beside a network: about as many as those of a network have. The optimiser makes
temporary ones of that size."""
STATUS = Path("/proc/self/status")
"""Linux's account of this process. (What getrusage calls the maximum can be that of the parent.)"""
ROOT = Path(__file__).parent.parent.parent


def can_measure(device: str) -> bool:
    return device == "cuda" or STATUS.exists()


def compare_memory(setting: Setting, repeats: int) -> Iterator[dict[str, Any]]:
    found: dict[str, list[dict[str, int]]] = {SUPERNET: [], LARGEST: [], AS_MANY: []}
    for _ in range(repeats):
        for kind, results in found.items():
            results.append(_in_a_process(kind, setting))
    space = setting.load()
    ours = _megabytes(found[SUPERNET])
    for kind in (LARGEST, AS_MANY):
        static = _megabytes(found[kind])
        yield {
            "table": "memory",
            "static": kind,
            **setting.about(space),
            "ours_mb": ours,
            "static_mb": static,
            "ratio": ours / static,
            "before_mb": found[SUPERNET][0]["before"] / 2**20,
            "ours_params_m": found[SUPERNET][0]["params"] / 1e6,
            "static_params_m": found[kind][0]["params"] / 1e6,
            "steps": STEPS,
            "repeats": repeats,
        }


def _megabytes(results: list[dict[str, int]]) -> float:
    return statistics.median(one["peak"] - one["before"] for one in results) / 2**20


def _in_a_process(kind: str, setting: Setting) -> dict[str, int]:
    options = json.dumps({"kind": kind, "threads": torch.get_num_threads(), **asdict(setting)})
    command = [sys.executable, "-m", "bench.overhead.memory", options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)  # noqa: S603  our own file
    if done.returncode:
        raise RuntimeError(f"measuring the memory of {kind!r} failed:\n{done.stderr}")
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(kind: str, setting: Setting) -> dict[str, int]:
    """In a fresh process. Bytes before and at the peak, and the number of weights."""
    space = setting.load()
    images, targets = setting.images(space), soft_targets(setting, space)
    torch.nn.functional.conv2d(images[:1], images[:1, :, :3, :3])  # what a library takes at its first use
    before = _bytes_now(setting)
    if kind == SUPERNET:
        net, step = supernet_step(space, images, targets, setting.precision)
        params = sum(parameter.numel() for parameter in net.parameters())
    else:
        params, step = _static(kind, space, setting, images, targets)
    for number in range(STEPS):
        step(number)
    return {"before": before, "peak": _peak_bytes(setting), "params": params}


def _static(
    kind: str, space: Space, setting: Setting, images: torch.Tensor, targets: torch.Tensor
) -> tuple[int, Callable[[int], None]]:
    net = build(space.largest()).to(setting.device)
    params = sum(parameter.numel() for parameter in net.parameters())
    held = nn.ParameterList()
    if kind == AS_MANY:
        wanted = _supernet_params(space)
        for part in torch.zeros(wanted - params).split(TENSOR):
            held.append(nn.Parameter(part.to(setting.device, copy=True)))
            held[-1].grad = torch.full_like(part, 1e-3, device=setting.device)
        params = wanted
    both: Any = nn.ModuleList([net, held])
    optimizer = make_optimizer(both, ADAMW, setting.batch)
    step = static_parts([net], optimizer, images, targets, setting.precision)
    return params, lambda number: step()


def _supernet_params(space: Space) -> int:
    """By arithmetic, so that no supernet takes memory here."""
    from supernet.elastic.naming import naming
    from supernet.elastic.union import union

    total = 0
    for tensor in union(space, naming(space, False)).tensors.values():
        size = 1
        for dim in tensor.dims:
            size *= dim.length
        total += size
    return total


def _bytes_now(setting: Setting) -> int:
    if setting.device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    return _resident("VmRSS")


def _peak_bytes(setting: Setting) -> int:
    if setting.device == "cuda":
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated()
    return _resident("VmHWM")


def _resident(line: str) -> int:
    text = next(one for one in STATUS.read_text().splitlines() if one.startswith(line + ":"))
    return int(text.split()[1]) * 1024


def main() -> None:
    options = json.loads(sys.argv[1])
    kind, threads = options.pop("kind"), options.pop("threads")
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    print(json.dumps(measure(kind, Setting(**options))))


if __name__ == "__main__":
    main()
