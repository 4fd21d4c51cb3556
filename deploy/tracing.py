"""What all exports begin with: a module in evaluation mode, seen once with an image of the one shape it will take."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import itertools
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from supernet.values import first_line, printable, show

from .errors import ExportError
from .files import content_bytes, content_hash

INPUT, OUTPUT = "x", "y"
"""The names of input and output in every file."""
SPEC_KEY, VERSION_KEY = "slimformer.spec", "slimformer.version"
Shape = tuple[int, ...]
_SHAPE: Any = Tensor.shape.__get__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class ExportReport:
    """`num_ops` counts operations, not constants. `cpu_s` is the processor time of the whole export.

    `uncompressed_bytes` is the size before the weights were compressed; None where nobody asked for it.
    """

    path: Path
    sha256: str
    size_bytes: int
    num_ops: int
    shape_in: Shape
    shapes_out: tuple[Shape, ...]
    cpu_s: float
    uncompressed_bytes: int | None = None

    @classmethod
    def of(
        cls,
        path: Path,
        num_ops: int,
        shape_in: Shape,
        shapes_out: tuple[Shape, ...],
        cpu_s: float,
        uncompressed_bytes: int | None = None,
    ) -> ExportReport:
        size = content_bytes(path)
        return cls(path, content_hash(path), size, num_ops, shape_in, shapes_out, cpu_s, uncompressed_bytes)

    @property
    def shape_out(self) -> Shape:
        """Of the only output, or the first."""
        return self.shapes_out[0]


def checked_shape(shape: Any) -> Shape:
    """Batch, channels, height, width."""
    sizes = tuple(shape)
    if len(sizes) != 4 or not all(isinstance(size, int) and size > 0 for size in sizes):
        raise ExportError(f"the shape {show(sizes)} is not (batch, channels, height, width)")
    return sizes


def checked_path(path: str | Path, suffix: str) -> Path:
    path = Path(path)
    if path.suffix != suffix:
        raise ExportError(f"{printable(str(path))}: the name must end in {suffix}")
    return path


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """In evaluation mode without gradients; afterwards each part is in the mode it was in."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes:
            part.training = mode


def trace(
    module: nn.Module, shape: Shape, outputs: Sequence[str] = (OUTPUT,), *, dynamic_batch: bool = False
) -> tuple[Any, tuple[Shape, ...]]:
    """The traced module and the shapes of what it gives: as many tensors as there are names of outputs."""
    example = checked_example(module, shape)
    with evaluating(module), silence():
        try:
            result = module(example)
            with _PlainSizes(dynamic_batch):
                traced = torch.jit.trace(module, example, check_trace=False)
        except Exception as error:  # whatever a module does with an image that doesn't fit
            raise ExportError(f"the module can't take an input of {_in_words(shape)}: {first_line(error)}") from error
    return traced, shapes_of(result, outputs)


def checked_example(module: nn.Module, shape: Shape) -> Tensor:
    for name, tensor in itertools.chain(module.named_parameters(), module.named_buffers()):
        if tensor.device.type != "cpu" or (tensor.is_floating_point() and tensor.dtype != torch.float32):
            raise ExportError(f"{name} is {tensor.dtype} on {tensor.device}; an export takes float32 on the CPU")
    return torch.zeros(shape)


def shapes_of(result: Any, outputs: Sequence[str]) -> tuple[Shape, ...]:
    """Of the tensors that a module gave, one for each name."""
    if tuple(outputs) == (OUTPUT,) and not isinstance(result, Tensor):
        raise ExportError(f"the module gives {type(result).__name__}; a file gives a single tensor")
    tensors = [result] if isinstance(result, Tensor) else list(result)
    if len(tensors) != len(outputs):
        raise ExportError(f"the module gives {len(tensors)} tensors, and there are {len(outputs)} names of outputs")
    return tuple(tuple(map(int, one.shape)) for one in tensors)


class _PlainSizes(TorchFunctionMode):
    """While tracing, sizes are plain numbers: all that follows from the one shape becomes a constant of the graph.

    A dynamic batch is left as it is: the graph reads its size from the input.
    """

    def __init__(self, dynamic_batch: bool = False) -> None:
        super().__init__()
        self._kept = int(dynamic_batch)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func == _SHAPE:
            sizes = func(*args)
            return torch.Size([*sizes[: self._kept], *map(int, sizes[self._kept :])])
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Without the warnings of tracing: of shapes that become constants, which is what is wanted, and of deprecation."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def unprinted() -> Iterator[None]:
    """Where PyTorch can't export a network, it prints all of its operations, past Python's own output."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def metadata(spec_text: str | None, notes: Mapping[str, str] | None = None) -> dict[str, str]:
    """What every file says of itself."""
    return {VERSION_KEY: _version()} | ({} if spec_text is None else {SPEC_KEY: spec_text}) | dict(notes or {})


@functools.cache
def _version() -> str:
    try:
        return importlib.metadata.version("slimformer")
    except importlib.metadata.PackageNotFoundError:
        return "checkout"


def _in_words(shape: Shape) -> str:
    return " x ".join(map(str, shape))
