"""A module as a Core ML package: an ML program of fixed shape, with the dtypes of input and output said explicitly."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
from torch import nn

from supernet.values import first_line, printable, show

from .errors import ExportError
from .files import whole_folder, writing
from .packages import is_package, main_function, make_stable
from .quiet import coremltools, quietly
from .tracing import INPUT, OUTPUT, ExportReport, Shape, checked_path, checked_shape, metadata, trace

TARGETS = ("iOS16", "iOS17", "iOS18", "iOS26", "macOS13", "macOS14", "macOS15", "macOS26")
"""Deployment targets: the oldest system that can take the package. Before iOS 16 there was no input in fp16."""
TARGET = "iOS17"
"""Where none is named."""
PRECISIONS = ("fp16", "fp32")


def export_coreml(
    module: nn.Module,
    shape: Shape,
    path: str | Path,
    *,
    target: str = TARGET,
    precision: str = "fp16",
    io_precision: str | None = None,
    spec_text: str | None = None,
) -> ExportReport:
    """Writes a package whose input `x` has this shape (batch, channels, height, width); its output is `y`.

    `precision` is that of weights and operations, `io_precision` that of input and output: the same unless given. The
    module is exported as it is: fuse it before. What is at `path` is replaced if it is a package. Raises ExportError.
    """
    start = time.process_time()
    shape, path = checked_shape(shape), checked_path(path, ".mlpackage")
    if target not in TARGETS:
        raise ExportError(f"the target {show(target)} is not one of {', '.join(TARGETS)}")
    for given in (precision, io_precision or precision):
        if given not in PRECISIONS:
            raise ExportError(f"the precision {show(given)} is not one of {', '.join(PRECISIONS)}")
    if path.exists() and not is_package(path):
        raise ExportError(f"{printable(str(path))} is no Core ML package, so it is not replaced by one")
    with whole_folder(path) as folder, writing(path), quietly():
        made = folder / "made.mlpackage"
        num_ops, shape_out = _convert(module, shape, made, target, precision, io_precision or precision)
        make_stable(made, folder, metadata(spec_text))
        shutil.rmtree(made)
    return ExportReport.of(path, num_ops, shape, shape_out, time.process_time() - start)


def _convert(
    module: nn.Module, shape: Shape, made: Path, target: str, precision: str, io_precision: str
) -> tuple[int, Shape]:
    """How many operations the package has that coremltools makes, and the shape of its output."""
    ct = coremltools()
    traced, shape_out = trace(module, shape)
    io_dtype = {"fp16": np.float16, "fp32": np.float32}[io_precision]
    try:
        model = ct.convert(
            traced,
            inputs=[ct.TensorType(INPUT, shape=shape, dtype=io_dtype)],
            outputs=[ct.TensorType(OUTPUT, dtype=io_dtype)],
            convert_to="mlprogram",
            minimum_deployment_target=ct.target[target],
            compute_precision={"fp16": ct.precision.FLOAT16, "fp32": ct.precision.FLOAT32}[precision],
            package_dir=str(made),
            skip_model_load=True,
        )
    except OSError:
        raise
    except Exception as error:  # its converters raise all kinds of errors
        raise ExportError(f"coremltools can't convert the module: {first_line(error)}") from error
    _, block = main_function(model.get_spec(), made)
    return sum(operation.type != "const" for operation in block.operations), shape_out
