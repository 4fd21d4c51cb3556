"""A program as plain data: named inputs and outputs, constants, operations in the order they run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

Value = Tensor | str | tuple[str, ...]
"""Numbers are tensors: floats in float32 however they are stored, integers in int64."""


@dataclass(frozen=True)
class TensorType:
    """`dtype` in Core ML's words, such as FLOAT16. A dictionary, as classifiers give, declares no shape."""

    dtype: str
    shape: tuple[int, ...] | None


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
    images: frozenset[str] = frozenset()
    """The inputs that are images: pixels from 0 to 255, in the order red, green, blue."""
    compressed: bool = False
    """Whether any weights are stored as whole numbers; here they are numbers like all others."""

    @property
    def has_half(self) -> bool:
        """Whether anything is computed in fp16."""
        return any(one.dtype == "FLOAT16" for operation in self.operations for one in operation.outputs.values())

    @property
    def classes(self) -> tuple[str, ...]:
        """What a classifier calls its classes, in the order of its probabilities; empty for any other program."""
        for operation in self.operations:
            names = operation.inputs.get("classes", [()])[0] if operation.kind == "classify" else ()
            found = self.constants.get(names.name, ()) if isinstance(names, Named) else names
            if isinstance(found, tuple) and found:
                return found
        return ()
