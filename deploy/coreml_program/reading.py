"""From a package to its program. What is read is data only: protobuf messages and numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from supernet.values import first_line, printable, show

from ..errors import PackageError
from ..packages import main_function, model_file, read_model
from ..quiet import coremltools
from .blobs import Blobs
from .operators import Arguments
from .operators.compressed import COMPRESSED
from .program import Named, Operation, Program, TensorType, Value

_MODEL_PATH = "@model_path/"
_BYTES = {
    "FLOAT16": np.float16,
    "INT8": np.int8,
    "UINT8": np.uint8,
    "INT16": np.int16,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
}
"""Types that a message keeps as raw bytes."""


def read_program(path: str | Path) -> Program:
    """The function that runs when none is asked for. Raises PackageError."""
    path = Path(path)
    constants: dict[str, Value] = {}
    operations, compressed = [], False
    try:
        reader = _Reader(path, model_file(path).parent)
        model = read_model(path)
        function, block = main_function(model, path)
        for operation in block.operations:
            if operation.type == "const":
                constants[operation.outputs[0].name] = reader.value(operation.attributes["val"])
            elif operation.type in COMPRESSED:
                constants[operation.outputs[0].name] = reader.weights(operation)
                compressed = True
            else:
                operations.append(reader.operation(operation))
        inputs = {one.name: reader.tensor_type(one.type) for one in function.inputs}
    except PackageError:
        raise
    except (ValueError, LookupError, ArithmeticError, RuntimeError, StopIteration) as error:  # values without a meaning
        raise PackageError(f"{printable(str(path))}: its program is damaged: {first_line(error)}") from None
    images = frozenset(one.name for one in model.description.input if one.type.WhichOneof("Type") == "imageType")
    for one in model.description.input:
        if one.name in images and one.type.imageType.colorSpace != one.type.imageType.RGB:
            raise PackageError(f"{printable(str(path))}: its input {show(one.name)} is no RGB image")
    return Program(path, inputs, tuple(block.outputs), constants, tuple(operations), images, compressed)


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

    def weights(self, message: Any) -> Tensor:
        """Compressed ones, as the floats they stand for. Their parts are attributes, from iOS 18 on inputs."""
        given = {name: [self.value(value)] for name, value in message.attributes.items() if name != "name"}
        operation = self.operation(message)
        inputs = {
            name: [one for one in values if not isinstance(one, Named)] for name, values in operation.inputs.items()
        }
        declared = next(iter(operation.outputs.values()))
        result = COMPRESSED[message.type](Arguments(given | inputs))
        if tuple(result.shape) != declared.shape:
            raise PackageError(f"{self._shown}: {message.type} gives {tuple(result.shape)}, not {declared.shape}")
        return result.half().float() if declared.dtype == "FLOAT16" else result

    def tensor_type(self, message: Any) -> TensorType:
        if message.WhichOneof("type") == "dictionaryType":
            return TensorType("DICTIONARY", None)
        tensor = message.tensorType
        fixed = all(one.WhichOneof("dimension") == "constant" for one in tensor.dimensions)
        if message.WhichOneof("type") != "tensorType" or not fixed:
            raise PackageError(f"{self._shown}: a value is no tensor of fixed shape; nothing else can be run here")
        return TensorType(self._dtype_name(tensor.dataType), tuple(int(one.constant.size) for one in tensor.dimensions))

    def value(self, message: Any) -> Value:
        if message.type.WhichOneof("type") == "listType":
            return tuple(str(self.value(one)) for one in message.immediateValue.list.values)
        declared = self.tensor_type(message.type)
        if declared.shape is None:
            raise PackageError(f"{self._shown}: a constant is a dictionary, which can't be read")
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
