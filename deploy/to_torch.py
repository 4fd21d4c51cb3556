"""A module as a program of torch.export: what PyTorch's own compilers and runtimes take."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from supernet.values import first_line
from supernet.whole_files import write_whole

from .errors import ExportError
from .files import writing
from .tracing import (
    OUTPUT,
    ExportReport,
    Shape,
    checked_example,
    checked_path,
    checked_shape,
    evaluating,
    metadata,
    shapes_of,
    silence,
)


def export_torch(
    module: nn.Module,
    shape: Shape,
    path: str | Path,
    *,
    spec_text: str | None = None,
    notes: Mapping[str, str] | None = None,
    outputs: Sequence[str] = (OUTPUT,),
    dynamic_batch: bool = False,
) -> ExportReport:
    """Writes a `.pt2` file for inputs of this shape (batch, channels, height, width). Raises ExportError."""
    start = time.process_time()
    shape, path = checked_shape(shape), checked_path(path, ".pt2")
    example = checked_example(module, shape)
    if dynamic_batch:  # of a batch of one, torch.export would take the one for a constant
        example = example.expand(2, *shape[1:]).contiguous()
    content: Any = io.BytesIO()
    with evaluating(module), silence():
        try:
            free: Any = ({0: torch.export.Dim("batch")},) if dynamic_batch else None
            program = torch.export.export(module, (example,), dynamic_shapes=free)
            shapes_out = shapes_of(module(torch.zeros(shape)), outputs)
            torch.export.save(program, content, extra_files=metadata(spec_text, notes))
        except ExportError:
            raise
        except Exception as error:  # whatever a module does that a graph can't say
            raise ExportError(f"torch.export can't take the module: {first_line(error)}") from error
    with writing(path):
        write_whole(path, content.getvalue())
    num_ops = sum(node.op == "call_function" for node in program.graph.nodes)
    return ExportReport.of(path, num_ops, shape, shapes_out, time.process_time() - start)
