"""Whether a file computes what its source module computes, shown on noise, without the device it is made for."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from .comparing import FLOAT_TOLERANCE, HALF_TOLERANCE, Difference, compare, noise_examples
from .opening import Opened, open_coreml, open_onnx, open_torchscript
from .tracing import Shape, checked_shape, evaluating


def verify_coreml(
    path: str | Path, module: nn.Module, shape: Shape, *, tolerance: float | None = None, rounded: bool = False
) -> Difference:
    """With `rounded`, results are rounded to fp16 where the program says so."""
    return _verify(open_coreml(path, rounded=rounded), module, shape, tolerance)


def verify_onnx(path: str | Path, module: nn.Module, shape: Shape, *, tolerance: float | None = None) -> Difference:
    return _verify(open_onnx(path), module, shape, tolerance)


def verify_torchscript(
    path: str | Path, module: nn.Module, shape: Shape, *, tolerance: float | None = None
) -> Difference:
    return _verify(open_torchscript(path), module, shape, tolerance)


def _verify(opened: Opened, module: nn.Module, shape: Shape, tolerance: float | None) -> Difference:
    usual = HALF_TOLERANCE if opened.has_half else FLOAT_TOLERANCE
    examples = noise_examples(checked_shape(shape))
    with evaluating(module):
        return compare(
            opened.path,
            opened.run,
            lambda image: [module(image)],
            examples,
            usual if tolerance is None else tolerance,
        )
