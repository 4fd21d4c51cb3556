"""This Mac through Core ML. Written from coremltools' documentation; it has never run, as nobody had a Mac at hand."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from supernet import SpecError

from ..protocol import Clocks
from .base import Device, Facts, Run, Runnable, noise, taking, wall_clocks
from .host import needs, processor

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
        needs("coremltools", "coreml")
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

    def ready(self, item: Runnable, file: Path | None, batch: int) -> Run:
        import coremltools

        assert file is not None
        with taking(file, "can't be loaded by Core ML (`export` makes it anew, once deleted)"):
            units = getattr(coremltools.ComputeUnit, UNITS[self.compute_units])
            model = coremltools.models.MLModel(str(file), compute_units=units)
            (given,) = model.get_spec().description.input
        images = noise(
            item, batch
        )  # in single precision: coremltools hands nothing else over, whatever the package takes
        shape = tuple(given.type.multiArrayType.shape)
        if shape != images.shape:
            raise SpecError(str(file), f"takes {shape}, not {images.shape}: it was exported for another batch")

        feed = {given.name: images}

        def run() -> Any:
            return model.predict(feed)

        with taking(file, "can't be run by Core ML"):
            run()  # what it can't load it says only now
        return run
