"""This computer through ONNX Runtime."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from supernet import SpecError
from supernet.values import first_line, printable

from ..protocol import Clocks
from .base import Device, Facts, Run, Runnable, noise, thread_clocks, wall_clocks
from .host import needs, processor, system

LEVELS = {"off": "ORT_DISABLE_ALL", "basic": "ORT_ENABLE_BASIC", "extended": "ORT_ENABLE_EXTENDED"}
LEVELS |= {"all": "ORT_ENABLE_ALL"}


class OnnxHost(Device):
    form = "onnx"

    def __init__(self, threads: int = 1, optimization: str = "all") -> None:
        if optimization not in LEVELS:
            raise SpecError("optimization", f"{optimization!r} is not one of {', '.join(LEVELS)}")
        needs("onnxruntime", "onnxruntime")
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

    def ready(self, item: Runnable, file: Path | None, batch: int) -> Run:
        assert file is not None
        shown = printable(str(file))
        try:
            session = self._session(file)
        except Exception as error:  # its kinds of exceptions have no base of their own
            raise SpecError(shown, f"can't be loaded: {_reason(error)}; `export` makes it anew, once deleted") from None
        (given,) = session.get_inputs()
        images = noise(item, batch)
        if given.shape != list(images.shape):
            raise SpecError(shown, f"takes {given.shape}, not {list(images.shape)}: it was exported for another batch")
        outputs, feed = [output.name for output in session.get_outputs()], {given.name: images}

        def run() -> Any:
            try:
                return session.run(outputs, feed)
            except Exception as error:
                raise SpecError(shown, f"can't be run: {_reason(error)}") from None

        return run

    def _session(self, file: Path) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, LEVELS[self.optimization])
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def _reason(error: Exception) -> str:
    """Without the numbers and the path, which stand before."""
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .*? failed: ?)?", "", str(error).strip())
    return first_line(RuntimeError(text)).rstrip(".")
