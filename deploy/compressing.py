"""Weights of a Core ML program as whole numbers of few bits; what is computed stays in floats.

Weights of fewer than 2,048 numbers stay as they are. Nothing is learnt from data: only the weights are looked at.
"""

from __future__ import annotations

from typing import Any

from supernet.values import show

from .errors import ExportError
from .quiet import coremltools

COMPRESSIONS = ("int8", "palette8", "palette6", "palette4")
"""Eight bits and a scale for each output channel, or places in a table of 256, 64 or 16 values for each tensor."""


def check_compression(kind: str | None) -> None:
    if kind is not None and kind not in COMPRESSIONS:
        raise ExportError(f"the compression {show(kind)} is not one of {', '.join(COMPRESSIONS)}")


def compressed(model: Any, kind: str) -> Any:
    """A model of coremltools with smaller weights. The same weights give the same tables, at any time."""
    coremltools()
    import coremltools.optimize.coreml as optimize

    if kind == "int8":
        quantizer = optimize.OpLinearQuantizerConfig(mode="linear_symmetric")
        return optimize.linear_quantize_weights(model, optimize.OptimizationConfig(global_config=quantizer))
    bits = int(kind.removeprefix("palette"))
    palettizer = optimize.OpPalettizerConfig(mode="kmeans", nbits=bits)
    return optimize.palettize_weights(model, optimize.OptimizationConfig(global_config=palettizer))
