"""This Mac through Core ML. Written from coremltools' documentation; it has never run, as nobody had a Mac at hand."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np

from supernet import SpecError

from ..protocol import Clocks
from .base import Device, Facts, Runnable, wall_clocks
from .host import processor

UNITS = {"all": "ALL", "cpu_and_ne": "CPU_AND_NE", "cpu_and_gpu": "CPU_AND_GPU", "cpu_only": "CPU_ONLY"}


class CoreMLMac(Device):
    form = "coreml"

    def __init__(self, compute_units: str = "all") -> None:
        if compute_units not in UNITS:
            raise SpecError("compute_units", f"{compute_units!r} is not one of {', '.join(UNITS)}")
        if platform.system() != "Darwin":
            raise SpecError(
                "--device", "'coreml' runs packages on a Mac; this is none. An iPhone is measured from a Mac too"
            )
        self.compute_units = compute_units

    @property
    def facts(self) -> Facts:
        import coremltools

        return {
            "device": "coreml",
            "model": processor(),
            "system": f"macOS {platform.mac_ver()[0]}",
            "runtime": f"coremltools {coremltools.__version__}",
            "compute_units": self.compute_units,
            "dtype": "fp16",
        }

    @property
    def clocks(self) -> Clocks:
        return wall_clocks

    def ready(self, item: Runnable, file: Path | None, batch: int) -> Callable[[], None]:
        import coremltools

        assert file is not None
        units = getattr(coremltools.ComputeUnit, UNITS[self.compute_units])
        model = coremltools.models.MLModel(str(file), compute_units=units)
        (given,) = model.get_spec().description.input
        noise = np.random.default_rng(0).standard_normal((batch, *item.shape)).astype(np.float16)
        feed = {given.name: noise}
        return lambda: model.predict(feed)
