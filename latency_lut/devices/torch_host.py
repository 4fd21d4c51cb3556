"""This computer through PyTorch, on the processor or a CUDA GPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from supernet import SpecError

from ..protocol import Clocks
from .base import Device, Facts, Runnable, thread_clocks, wall_clocks
from .host import processor, system

MODES = ("eager", "script", "compile")
_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchHost(Device):
    def __init__(self, threads: int = 1, mode: str = "eager", device: str = "cpu", dtype: str = "fp32") -> None:
        if mode not in MODES:
            raise SpecError("mode", f"{mode!r} is not one of {', '.join(MODES)}")
        if device not in ("cpu", "cuda"):
            raise SpecError("device", f"{device!r} is not one of cpu, cuda")
        if device == "cuda" and not torch.cuda.is_available():
            raise SpecError("device", "'cuda' is not here: PyTorch sees no GPU")
        if dtype not in _TYPES:
            raise SpecError("dtype", f"{dtype!r} is not one of {', '.join(_TYPES)}")
        self.threads, self.mode, self.device, self.dtype = threads, mode, device, dtype

    @property
    def facts(self) -> Facts:
        on_gpu = self.device == "cuda"
        return {
            "device": "torch",
            "model": torch.cuda.get_device_name() if on_gpu else processor(),
            "system": system(),
            "runtime": f"torch {torch.__version__}",
            "threads": 0 if on_gpu else self.threads,
            "mode": self.mode,
            "dtype": self.dtype,
        }

    @property
    def clocks(self) -> Clocks:
        return thread_clocks if self.threads == 1 and self.device == "cpu" else wall_clocks

    def ready(self, item: Runnable, file: Path | None, batch: int) -> Callable[[], None]:
        torch.set_num_threads(self.threads)
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(batch, *item.shape, generator=generator).to(self.device, _TYPES[self.dtype])
        with torch.inference_mode():
            module: Any = item.module().eval().to(self.device, _TYPES[self.dtype])
            if self.mode == "script":
                module = torch.jit.optimize_for_inference(torch.jit.trace(module, x, check_trace=False))
            elif self.mode == "compile":
                module = torch.compile(module)
        return (lambda: _run_on_gpu(module, x)) if self.device == "cuda" else (lambda: _run(module, x))


@torch.inference_mode()
def _run(module: Any, x: torch.Tensor) -> None:
    module(x)


@torch.inference_mode()
def _run_on_gpu(module: Any, x: torch.Tensor) -> None:
    module(x)
    torch.cuda.synchronize()
