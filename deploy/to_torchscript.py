"""A module as TorchScript: traced and frozen, so that weights are constants."""

from __future__ import annotations

import io
import time
from pathlib import Path

import torch
from torch import nn

from supernet.whole_files import write_whole

from .files import writing
from .tracing import ExportReport, Shape, checked_path, checked_shape, metadata, silence, trace


def export_torchscript(
    module: nn.Module, shape: Shape, path: str | Path, *, spec_text: str | None = None
) -> ExportReport:
    """Writes a `.pt` file for inputs of this shape (batch, channels, height, width). Raises ExportError."""
    start = time.process_time()
    shape, path = checked_shape(shape), checked_path(path, ".pt")
    traced, shape_out = trace(module, shape)
    content = io.BytesIO()
    notes = {name: text.encode() for name, text in metadata(spec_text).items()}
    with silence(), torch.no_grad():
        frozen = torch.jit.freeze(traced.eval())
        torch.jit.save(frozen, content, _extra_files=notes)
    with writing(path):
        write_whole(path, content.getvalue())
    num_ops = sum(node.kind() != "prim::Constant" for node in frozen.graph.nodes())
    return ExportReport.of(path, num_ops, shape, shape_out, time.process_time() - start)
