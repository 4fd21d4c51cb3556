"""A module as one ONNX file, of fixed shape or for any number of images."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from supernet.values import first_line, show
from supernet.whole_files import write_whole

from .errors import ExportError
from .files import writing
from .tracing import (
    INPUT,
    OUTPUT,
    ExportReport,
    Shape,
    checked_path,
    checked_shape,
    evaluating,
    metadata,
    silence,
    trace,
    unprinted,
)

OPSETS = range(17, 21)
"""From the first with LayerNormalization to the last that the exporter knows; 20 has Gelu."""


def export_onnx(
    module: nn.Module,
    shape: Shape,
    path: str | Path,
    *,
    opset: int = OPSETS[-1],
    spec_text: str | None = None,
    notes: Mapping[str, str] | None = None,
    outputs: Sequence[str] = (OUTPUT,),
    dynamic_batch: bool = False,
) -> ExportReport:
    """Writes a model in float32 whose input `x` has this shape (batch, channels, height, width); its output is `y`.

    The module is exported as it is: fuse it before. With `dynamic_batch`, the file takes any number of images; what
    depends on that number is computed while the network runs. Raises ExportError.

    PyTorch's exporter by tracing takes a tenth of the processor time of the one by torch.export, and after onnxscript's
    optimizer, which folds what follows from the fixed shape, the graph has no more operations.
    """
    start = time.process_time()
    shape, path = checked_shape(shape), checked_path(path, ".onnx")
    if opset not in OPSETS:
        raise ExportError(f"opset {show(opset)} is not from {OPSETS[0]} to {OPSETS[-1]}")
    try:
        import onnx
        import onnxscript.optimizer
    except ImportError as error:
        raise ExportError(f"an export to ONNX needs onnx and onnxscript: {first_line(error)}") from None
    traced, shapes_out = trace(module, shape, outputs, dynamic_batch=dynamic_batch)
    exported: Any = io.BytesIO()
    with evaluating(traced), silence(), unprinted():
        try:
            torch.onnx.export(
                traced,
                (torch.zeros(shape),),
                exported,
                dynamo=False,
                opset_version=opset,
                input_names=[INPUT],
                output_names=list(outputs),
                dynamic_axes={name: {0: "batch"} for name in (INPUT, *outputs)} if dynamic_batch else None,
            )
            graph = onnxscript.ir.serde.deserialize_model(onnx.load_from_string(exported.getvalue()))
            onnxscript.optimizer.optimize_ir(graph, should_fold=_always_fold)
            _number(graph.graph)
            model = onnxscript.ir.serde.serialize_model(graph)
            onnx.helper.set_model_props(model, metadata(spec_text, notes))
            onnx.checker.check_model(model, full_check=True)
        except Exception as error:  # each of the three has its own kinds of errors
            raise ExportError(f"the module can't be exported to ONNX: {first_line(error)}") from error
    with writing(path):
        write_whole(path, model.SerializeToString(deterministic=True))
    return ExportReport.of(path, _num_ops(model), shape, shapes_out, time.process_time() - start)


def _number(graph: Any) -> None:
    """PyTorch names operations by modules, and does so in another way in the first export of a process; equal modules
    shall give equal files."""
    for index, node in enumerate(graph):
        node.name = f"{node.op_type}_{index}"
        for place, value in enumerate(node.outputs):
            if not value.is_graph_output():
                value.name = f"{index}_{place}"


def _always_fold(node: Any) -> bool | None:
    """The optimizer keeps this operation, lest large constants appear; here it only makes the list of paddings."""
    return True if node.op_type == "ConstantOfShape" else None


def _num_ops(model: Any) -> int:
    return sum(node.op_type != "Constant" for node in model.graph.node)
