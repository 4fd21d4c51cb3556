"""Where and in which numbers networks run: device, autocast, memory layout."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from supernet.values import SpecError

from .config import PrecisionConfig

Net = TypeVar("Net", bound=nn.Module)
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Precision:
    device: torch.device = torch.device("cpu")  # noqa: RUF009  a value
    amp: str = "none"
    channels_last: bool = False

    def autocast(self) -> AbstractContextManager[object]:
        if self.amp == "none":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=_TYPES[self.amp])

    def place(self, images: Tensor) -> Tensor:
        images = images.to(self.device, non_blocking=True)
        return images.contiguous(memory_format=torch.channels_last) if self.channels_last else images

    def place_net(self, net: Net) -> Net:
        net.to(self.device)
        if self.channels_last:
            net.to(memory_format=torch.channels_last)
        return net

    def scaler(self) -> torch.amp.GradScaler:
        """Of losses, against gradients too small for fp16; does nothing otherwise."""
        return torch.amp.GradScaler(self.device.type, enabled=self.amp == "fp16")


def set_up(config: PrecisionConfig, device: torch.device) -> Precision:
    """Also sets what holds for the whole process: threads, and deterministic algorithms."""
    if config.amp == "fp16" and device.type != "cuda":
        raise SpecError("precision.amp", "'fp16' needs CUDA; on this device bf16 or none would run")
    if config.threads:
        torch.set_num_threads(config.threads)
    if config.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS may add up in another order
    torch.use_deterministic_algorithms(config.deterministic, warn_only=False)
    torch.backends.cudnn.benchmark = not config.deterministic
    return Precision(device, config.amp, config.channels_last)
