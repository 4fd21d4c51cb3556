"""This computer through ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from supernet import SpecError

from ..protocol import Clocks
from .base import Device, Facts, Runnable, thread_clocks, wall_clocks
from .host import processor, system

LEVELS = ("off", "basic", "extended", "all")


class OnnxHost(Device):
    form = "onnx"

    def __init__(self, threads: int = 1, optimization: str = "all") -> None:
        if optimization not in LEVELS:
            raise SpecError("optimization", f"{optimization!r} is not one of {', '.join(LEVELS)}")
        self.threads, self.optimization = threads, optimization

    @property
    def facts(self) -> Facts:
        import onnxruntime

        return {
            "device": "onnxruntime",
            "model": processor(),
            "system": system(),
            "runtime": f"onnxruntime {onnxruntime.__version__}",
            "threads": self.threads,
            "optimization": self.optimization,
            "dtype": "fp32",
        }

    @property
    def clocks(self) -> Clocks:
        return thread_clocks if self.threads == 1 else wall_clocks

    def ready(self, item: Runnable, file: Path | None, batch: int) -> Callable[[], None]:
        import onnxruntime

        assert file is not None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        levels = onnxruntime.GraphOptimizationLevel
        options.graph_optimization_level = {
            "off": levels.ORT_DISABLE_ALL,
            "basic": levels.ORT_ENABLE_BASIC,
            "extended": levels.ORT_ENABLE_EXTENDED,
            "all": levels.ORT_ENABLE_ALL,
        }[self.optimization]
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        (given,) = session.get_inputs()
        noise = np.random.default_rng(0).standard_normal((batch, *item.shape)).astype(np.float32)
        outputs = [output.name for output in session.get_outputs()]
        feed = {given.name: noise}
        return lambda: session.run(outputs, feed)
