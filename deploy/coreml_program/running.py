"""A program run over PyTorch on the CPU, one operation after the other.

Every result is compared with the shape that the program declares for it, so that an operation we understand otherwise
than Core ML is found where it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from supernet.values import did_you_mean, first_line, printable, show

from ..errors import PackageError
from .operators import OPERATORS, Arguments
from .program import Named, Operation, Program, TensorType, Value
from .reading import read_program


def run_package(path: str | Path, inputs: Mapping[str, Tensor], *, rounded: bool = False) -> dict[str, Tensor]:
    """The outputs of a saved package, in float32. See `run_program`."""
    return run_program(read_program(path), inputs, rounded=rounded)


@torch.no_grad()
def run_program(program: Program, inputs: Mapping[str, Tensor], *, rounded: bool = False) -> dict[str, Tensor]:
    """Each operation computes in float32, from weights as they are stored and inputs in the declared type. With
    `rounded`, each result that the program declares as fp16 is rounded to it, and one beyond its range is infinite.
    """
    values: dict[str, Value] = dict(program.constants)
    for name, declared in program.inputs.items():
        if name not in inputs:
            raise PackageError(f"the input {show(name)} is missing: {did_you_mean(name, inputs)}")
        if tuple(inputs[name].shape) != declared.shape:
            raise PackageError(f"the input {show(name)} is {tuple(inputs[name].shape)}, not {declared.shape}")
        values[name] = _stored(inputs[name].float(), declared)
    for index, operation in enumerate(program.operations):
        try:
            results = _run(operation, values)
        except PackageError as error:
            where = f"operation {index + 1} of {len(program.operations)}, {show(str(operation))}"
            raise PackageError(f"{printable(str(program.path))}: {where}: {error}") from None
        for result, (name, declared) in zip(results, operation.outputs.items(), strict=True):
            values[name] = _stored(result, declared) if rounded else result
    return {name: _tensor(values[name]) for name in program.outputs}


def _run(operation: Operation, values: Mapping[str, Value]) -> list[Tensor]:
    operator = OPERATORS.get(operation.kind)
    if operator is None:
        raise PackageError(f"{show(operation.kind)} is unknown; known are {', '.join(sorted(OPERATORS))}")
    arguments = {name: [_look_up(one, values) for one in given] for name, given in operation.inputs.items()}
    try:
        result = operator(Arguments(arguments))
    except (RuntimeError, IndexError, TypeError) as error:
        raise PackageError(f"it can't be computed: {first_line(error)}") from None
    results = [result] if isinstance(result, Tensor) else result
    declared = [one.shape for one in operation.outputs.values()]
    shapes = [one and tuple(result.shape) for one, result in zip(declared, results, strict=False)]
    if len(results) != len(declared) or shapes != declared:
        raise PackageError(f"it gives {shapes} where the program declares {declared}")
    return results


def _look_up(given: Named | Value, values: Mapping[str, Value]) -> Value:
    if not isinstance(given, Named):
        return given
    if given.name not in values:
        raise PackageError(f"nothing before it is called {show(given.name)}")
    return values[given.name]


def _stored(value: Tensor, declared: TensorType) -> Tensor:
    return value.half().float() if declared.dtype == "FLOAT16" else value


def _tensor(value: Value) -> Tensor:
    assert isinstance(value, Tensor)
    return value
