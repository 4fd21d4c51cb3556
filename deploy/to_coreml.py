"""A module as a Core ML package: an ML program of fixed shape, with the dtypes of input and output said explicitly."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from supernet.values import first_line, printable, show

from .compressing import check_compression, compressed
from .errors import ExportError
from .files import content_bytes, whole_folder, writing
from .packages import NO_CREDITS, Credits, is_package, main_function, make_stable
from .quiet import coremltools, quietly
from .tracing import INPUT, OUTPUT, ExportReport, Shape, checked_path, checked_shape, metadata, trace

TARGETS = ("iOS16", "iOS17", "iOS18", "iOS26", "macOS13", "macOS14", "macOS15", "macOS26")
"""Deployment targets: the oldest system that can take the package. Before iOS 16 there was no input in fp16."""
TARGET = "iOS17"
"""Where none is named."""
PRECISIONS = ("fp16", "fp32")
IMAGE, LABEL = "image", "label"
"""The names of an input that is an image, and of what a classifier calls it."""


@dataclass(frozen=True)
class Offer:
    """What a package is to an app: with `image`, its input is an RGB image and the module takes pixels from 0 to 255;
    with `classes`, it names the class, and gives a dictionary of the probabilities that the module gives.
    """

    image: bool = False
    classes: tuple[str, ...] = ()
    outputs: tuple[str, ...] = (OUTPUT,)
    compress: str | None = None
    credits: Credits = NO_CREDITS


TENSORS = Offer()
"""Plain tensors in and out."""


def export_coreml(
    module: nn.Module,
    shape: Shape,
    path: str | Path,
    *,
    target: str = TARGET,
    precision: str = "fp16",
    io_precision: str | None = None,
    spec_text: str | None = None,
    notes: Mapping[str, str] | None = None,
    offer: Offer = TENSORS,
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
    _check_offer(offer, shape)
    if path.exists() and not is_package(path):
        raise ExportError(f"{printable(str(path))} is no Core ML package, so it is not replaced by one")
    with whole_folder(path) as folder, writing(path), quietly():
        made, size = folder / "made.mlpackage", None
        traced, shapes_out = trace(module, shape, offer.outputs)
        model = _converted(traced, shape, made, target, precision, io_precision or precision, offer)
        if offer.compress is not None:
            size = content_bytes(made)
            model = _compressed(model, offer.compress, made)
        num_ops = _num_ops(model, made)
        make_stable(made, folder, metadata(spec_text, notes), offer.credits)
        shutil.rmtree(made)
    return ExportReport.of(path, num_ops, shape, shapes_out, time.process_time() - start, size)


def _check_offer(offer: Offer, shape: Shape) -> None:
    check_compression(offer.compress)
    if offer.image and shape[:2] != (1, 3):
        raise ExportError(f"an image is 1 x 3 x height x width, this module takes {' x '.join(map(str, shape))}")
    if offer.classes and offer.outputs != (OUTPUT,):
        raise ExportError("feature maps have no classes")
    twice = sorted({name for name in offer.classes if offer.classes.count(name) > 1})
    if twice:
        raise ExportError(f"two classes can't be called {show(twice[0])}: a package keeps probabilities by name")


def _converted(
    traced: Any, shape: Shape, made: Path, target: str, precision: str, io_precision: str, offer: Offer
) -> Any:
    """The model of coremltools, also saved as a package."""
    ct = coremltools()
    io_dtype = {"fp16": np.float16, "fp32": np.float32}[io_precision]
    if offer.image:
        taken: Any = ct.ImageType(IMAGE, shape=shape, color_layout=ct.colorlayout.RGB)
    else:
        taken = ct.TensorType(INPUT, shape=shape, dtype=io_dtype)
    if offer.classes:
        names = ct.ClassifierConfig(list(offer.classes), predicted_feature_name=LABEL)
        given: dict[str, Any] = {"classifier_config": names}
    else:
        given = {"outputs": [ct.TensorType(name, dtype=io_dtype) for name in offer.outputs]}
    try:
        return ct.convert(
            traced,
            inputs=[taken],
            **given,
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


def _compressed(model: Any, kind: str, made: Path) -> Any:
    try:
        smaller = compressed(model, kind)
        shutil.rmtree(made)
        smaller.save(str(made))
    except OSError:
        raise
    except Exception as error:
        raise ExportError(f"coremltools can't compress the weights: {first_line(error)}") from error
    return smaller


def _num_ops(model: Any, made: Path) -> int:
    """As coremltools made them; neither constants nor what makes constants of compressed weights."""
    _, block = main_function(model.get_spec(), made)
    return sum(operation.type != "const" and "constexpr" not in operation.type for operation in block.operations)
