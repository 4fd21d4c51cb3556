"""This computer through PyTorch, on the processor or a CUDA GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from deploy.tracing import silence
from supernet import SpecError

from ..protocol import Clocks
from .base import Device, Facts, Run, Runnable, noise, taking, thread_clocks, wall_clocks
from .host import processor, system

MODES = ("eager", "script", "compile")
_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_COMPILED_AT_ONCE = 10_000
"""Modules. PyTorch's own limit is eight with the same forward function: further ones would run as they are, unsaid."""
_RUNS_TO_COMPILE = 3
"""TorchScript looks at the first runs before it decides."""


class TorchHost(Device):
    def __init__(self, threads: int = 1, mode: str = "eager", device: str = "cpu", dtype: str = "fp32") -> None:
        if mode not in MODES:
            raise SpecError("mode", f"{mode!r} is not one of {', '.join(MODES)}")
        if device not in ("cpu", "cuda"):
            raise SpecError("device", f"{device!r} is not one of cpu, cuda")
        if device == "cuda" and not torch.cuda.is_available():
            raise SpecError(
                "--device", f"'cuda' needs an NVIDIA GPU and a PyTorch built for it: {torch.__version__} sees none here"
            )
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

    def ready(self, item: Runnable, file: Path | None, batch: int) -> Run:
        torch.set_num_threads(self.threads)
        x = torch.from_numpy(noise(item, batch)).to(self.device, _TYPES[self.dtype])
        with taking(item, f"can't be run by PyTorch ({self.mode})"), torch.inference_mode():
            module = self._compiled(item.module().eval().to(self.device, _TYPES[self.dtype]), x)
        return (lambda: _run_on_gpu(module, x)) if self.device == "cuda" else (lambda: _run(module, x))

    def _compiled(self, module: Any, x: torch.Tensor) -> Any:
        """All of it: what is left to the first runs is done too."""
        if self.mode == "eager":
            return module
        if self.mode == "script":
            with silence():
                module = torch.jit.optimize_for_inference(torch.jit.trace(module, x, check_trace=False))
            for _ in range(_RUNS_TO_COMPILE):
                module(x)
            return module
        from torch._dynamo import config  # takes seconds

        limits = {"recompile_limit": _COMPILED_AT_ONCE, "accumulated_recompile_limit": _COMPILED_AT_ONCE}
        with config.patch(limits):
            module = torch.compile(module, fullgraph=True, dynamic=False)
            module(x)
        return module

    @contextmanager
    def loaded(self, item: Runnable, file: Path | None, batch: int = 1) -> Iterator[Run]:
        try:
            with super().loaded(item, file, batch) as run:
                yield run
        finally:
            if self.mode == "compile":
                torch.compiler.reset()  # or else all that was ever compiled is kept, and looked through


@torch.inference_mode()
def _run(module: Any, x: torch.Tensor) -> Any:
    return module(x)


@torch.inference_mode()
def _run_on_gpu(module: Any, x: torch.Tensor) -> Any:
    output = module(x)
    torch.cuda.synchronize()
    return output
