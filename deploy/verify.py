"""Whether a file computes what its source module computes, shown on noise, without the device it is made for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from supernet.values import first_line, printable

from .coreml_program import read_program, run_program
from .errors import PackageError
from .tracing import Shape, checked_shape, evaluating, silence

HALF_TOLERANCE = 5e-3
"""fp16 keeps 11 bits, so a single rounding is up to 5e-4."""
FLOAT_TOLERANCE = 1e-4
IMAGES = 2


@dataclass(frozen=True)
class Difference:
    """`error` is the largest difference of a number, relative to the largest number of the same output."""

    path: Path
    error: float
    tolerance: float
    images: int

    @property
    def ok(self) -> bool:
        return self.error <= self.tolerance  # not a number is no success

    def __str__(self) -> str:
        judgement = "computes the same as" if self.ok else "DIFFERS from"
        return (
            f"{printable(self.path.name)} {judgement} its source: relative error {self.error:.1e}, "
            f"tolerance {self.tolerance:.0e}, on {self.images} noise images"
        )


def verify_coreml(
    path: str | Path, module: nn.Module, shape: Shape, *, tolerance: float | None = None, rounded: bool = False
) -> Difference:
    """Runs the saved program over PyTorch: no proof of what a device computes, but of what it is asked to compute.

    With `rounded`, results are rounded to fp16 where the program says so, which shows numbers beyond its range.
    """
    program = read_program(path)
    if tolerance is None:
        tolerance = HALF_TOLERANCE if program.has_half else FLOAT_TOLERANCE

    def run(image: Tensor) -> Tensor:
        outputs = run_program(program, dict.fromkeys(program.inputs, image), rounded=rounded)
        return next(iter(outputs.values()))

    return _compare(Path(path), run, module, shape, tolerance)


def verify_onnx(path: str | Path, module: nn.Module, shape: Shape, *, tolerance: float | None = None) -> Difference:
    """Runs the file with ONNX Runtime, on one thread."""
    try:
        import onnxruntime
    except ImportError as error:
        raise PackageError(f"to verify an ONNX file, onnxruntime is needed: {first_line(error)}") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    try:
        session = onnxruntime.InferenceSession(_existing(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no base class
        raise PackageError(f"{printable(str(path))} is no model for ONNX Runtime: {first_line(error)}") from None

    def run(image: Tensor) -> Tensor:
        try:
            return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: image.numpy()})[0])
        except Exception as error:
            raise PackageError(f"{printable(str(path))}: ONNX Runtime can't run it: {first_line(error)}") from None

    return _compare(Path(path), run, module, shape, FLOAT_TOLERANCE if tolerance is None else tolerance)


def verify_torchscript(
    path: str | Path, module: nn.Module, shape: Shape, *, tolerance: float | None = None
) -> Difference:
    with silence():
        try:
            loaded = torch.jit.load(_existing(path), map_location="cpu")
        except RuntimeError as error:
            raise PackageError(f"{printable(str(path))} is no TorchScript file: {first_line(error)}") from None

    def run(image: Tensor) -> Tensor:
        try:
            output: Tensor = loaded(image)
        except RuntimeError as error:
            raise PackageError(f"{printable(str(path))} can't be run: {first_line(error)}") from None
        return output

    return _compare(Path(path), run, module, shape, FLOAT_TOLERANCE if tolerance is None else tolerance)


VERIFIERS: dict[str, Callable[[str | Path, nn.Module, Shape], Difference]] = {
    ".mlpackage": verify_coreml,
    ".onnx": verify_onnx,
    ".pt": verify_torchscript,
}


def noise(shape: Shape, seed: int) -> Tensor:
    """Exact in fp16, so that rounding the input is no part of a difference."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).half().float()


def _compare(
    path: Path, run: Callable[[Tensor], Tensor], module: nn.Module, shape: Shape, tolerance: float
) -> Difference:
    shape, errors = checked_shape(shape), []
    with evaluating(module):
        for seed in range(IMAGES):
            image = noise(shape, seed)
            expected, actual = module(image), run(image)
            if actual.shape != expected.shape:
                raise PackageError(
                    f"{printable(str(path))} gives {tuple(actual.shape)}, its source {tuple(expected.shape)}"
                )
            errors.append(float((actual - expected).abs().max() / expected.abs().max()))
    worst = max(errors, key=lambda error: (error != error, error))  # not a number is worst
    return Difference(path, worst, tolerance, IMAGES)


def _existing(path: str | Path) -> str:
    if not Path(path).is_file():
        raise PackageError(f"{printable(str(path))}: there is no such file")
    return str(path)
