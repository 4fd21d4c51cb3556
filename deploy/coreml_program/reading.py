"""From a package to its program. What is read is data only: protobuf messages and numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from supernet.values import first_line, printable, show

from ..errors import PackageError
from ..packages import main_function, model_file, read_model
from ..quiet import coremltools
from .blobs import Blobs
from .program import Named, Operation, Program, TensorType, Value

_MODEL_PATH = "@model_path/"
_BYTES = {"FLOAT16": np.float16, "INT8": np.int8, "UINT8": np.uint8, "INT16": np.int16, "UINT16": np.uint16}
"""Types that a message keeps as raw bytes."""


def read_program(path: str | Path) -> Program:
    """The function that runs when none is asked for. Raises PackageError."""
    path = Path(path)
    file = model_file(path)
    function, block = main_function(read_model(path), path)
    reader = _Reader(path, file.parent)
    constants: dict[str, Value] = {}
    operations = []
    try:
        for operation in block.operations:
            if operation.type == "const":
                constants[operation.outputs[0].name] = reader.value(operation.attributes["val"])
            else:
                operations.append(reader.operation(operation))
        inputs = {one.name: reader.tensor_type(one.type) for one in function.inputs}
    except PackageError:
        raise
    except (ValueError, IndexError) as error:  # numbers without a meaning, constants without a name
        raise PackageError(f"{printable(str(path))}: its program is damaged: {first_line(error)}") from None
    return Program(path, inputs, tuple(block.outputs), constants, tuple(operations))


class _Reader:
    def __init__(self, path: Path, folder: Path) -> None:
        self._dtype_name = coremltools().proto.MIL_pb2.DataType.Name
        self._shown = printable(str(path))
        self._folder = folder.resolve()
        self._files: dict[str, Blobs] = {}

    def operation(self, message: Any) -> Operation:
        outputs = {one.name: self.tensor_type(one.type) for one in message.outputs}
        inputs = {
            name: [
                Named(one.name) if one.WhichOneof("binding") == "name" else self.value(one.value)
                for one in argument.arguments
            ]
            for name, argument in message.inputs.items()
        }
        return Operation(message.type, inputs, outputs)

    def tensor_type(self, message: Any) -> TensorType:
        tensor = message.tensorType
        fixed = all(one.WhichOneof("dimension") == "constant" for one in tensor.dimensions)
        if message.WhichOneof("type") != "tensorType" or not fixed:
            raise PackageError(f"{self._shown}: a value is no tensor of fixed shape; nothing else can be run here")
        return TensorType(self._dtype_name(tensor.dataType), tuple(int(one.constant.size) for one in tensor.dimensions))

    def value(self, message: Any) -> Value:
        declared = self.tensor_type(message.type)
        if message.WhichOneof("value") == "blobFileValue":
            return self._blobs(message.blobFileValue.fileName).tensor(
                message.blobFileValue.offset, declared.dtype, declared.shape
            )
        tensor = message.immediateValue.tensor
        kind = tensor.WhichOneof("value")
        if kind is None:
            raise PackageError(f"{self._shown}: a constant has no value")
        stored = getattr(tensor, kind).values
        if kind == "strings" and len(stored) == 1:
            return str(stored[0])
        if kind == "bytes" and declared.dtype in _BYTES:
            numbers = np.frombuffer(stored, dtype=_BYTES[declared.dtype])
        elif kind in ("floats", "ints", "bools", "longInts", "doubles"):
            numbers = np.array(stored)
        else:
            raise PackageError(f"{self._shown}: a constant of {declared.dtype} kept as {kind} can't be read")
        if numbers.size != int(np.prod(declared.shape, dtype=np.int64)):
            raise PackageError(f"{self._shown}: a constant has {numbers.size} numbers, not those of {declared.shape}")
        form = np.float32 if declared.dtype.startswith("FLOAT") else np.int64
        return torch.from_numpy(numbers.astype(form)).reshape(declared.shape)

    def _blobs(self, name: str) -> Blobs:
        if name not in self._files:
            file = (self._folder / name.removeprefix(_MODEL_PATH)).resolve()
            if not name.startswith(_MODEL_PATH) or not file.is_relative_to(self._folder):
                raise PackageError(f"{self._shown}: its weights lie outside of it, in {show(name)}")
            self._files[name] = Blobs(file)
        return self._files[name]
