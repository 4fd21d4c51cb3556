"""A module as TorchScript: traced and frozen, so that weights are constants."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from supernet.whole_files import write_whole

from .files import writing
from .tracing import OUTPUT, ExportReport, Shape, checked_path, checked_shape, metadata, silence, trace


def export_torchscript(
    module: nn.Module,
    shape: Shape,
    path: str | Path,
    *,
    spec_text: str | None = None,
    notes: Mapping[str, str] | None = None,
    outputs: Sequence[str] = (OUTPUT,),
    dynamic_batch: bool = False,
) -> ExportReport:
    """Writes a `.pt` file for inputs of this shape (batch, channels, height, width). Raises ExportError."""
    start = time.process_time()
    shape, path = checked_shape(shape), checked_path(path, ".pt")
    traced, shapes_out = trace(module, shape, outputs, dynamic_batch=dynamic_batch)
    content = io.BytesIO()
    files = {name: text.encode() for name, text in metadata(spec_text, notes).items()}
    with silence(), torch.no_grad():
        frozen = torch.jit.freeze(traced.eval())
        torch.jit.save(frozen, content, _extra_files=files)
    with writing(path):
        write_whole(path, content.getvalue())
    num_ops = sum(node.kind() != "prim::Constant" for node in frozen.graph.nodes())
    return ExportReport.of(path, num_ops, shape, shapes_out, time.process_time() - start)
