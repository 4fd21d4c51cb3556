"""A program as plain data: named inputs and outputs, constants, operations in the order they run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

Value = Tensor | str
"""Numbers are tensors: floats in float32 however they are stored, integers in int64."""


@dataclass(frozen=True)
class TensorType:
    """`dtype` in Core ML's words, such as FLOAT16."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Named:
    """What an operation takes where a constant or the result of another operation has this name."""

    name: str


@dataclass(frozen=True)
class Operation:
    kind: str
    inputs: dict[str, list[Named | Value]]
    outputs: dict[str, TensorType]

    def __str__(self) -> str:
        return f"{self.kind} -> {', '.join(self.outputs)}"


@dataclass(frozen=True)
class Program:
    path: Path
    inputs: dict[str, TensorType]
    outputs: tuple[str, ...]
    constants: dict[str, Value]
    operations: tuple[Operation, ...]

    @property
    def has_half(self) -> bool:
        """Whether anything is computed in fp16."""
        return any(one.dtype == "FLOAT16" for operation in self.operations for one in operation.outputs.values())
