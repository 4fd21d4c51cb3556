"""PyTorch's own files without what could run code: its readers unpickle, evaluate and import what a file tells them.

A copy is made, in memory, of what a network needs, and PyTorch reads that copy. Programs of torch.export keep tensors
as plain bytes, and a graph as JSON whose every text is looked at; TorchScript is a language whose calls are.
"""

from __future__ import annotations

import ast
import io
import json
import pickletools
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from supernet.values import first_line, printable, show

from .errors import PackageError

LARGEST_GROWTH = 10
"""Times its size that a file may unpack to; PyTorch does not compress."""
FILE_OPERATORS = frozenset({"from_file", "save"})
"""Those of PyTorch's that read or write a file."""
_ABOUT = r"archive_format|archive_version|byteorder|version|\.data/version|\.data/serialization_id"
_PROGRAM = re.compile(rf"{_ABOUT}|data/(weights/weight|constants/tensor)_\d+|extra/[\w.]+")
_TORCHSCRIPT = re.compile(rf"{_ABOUT}|(data|constants)\.pkl|(data|constants|tensors)/\w+|code/[\w/.]+\.py|extra/[\w.]+")
_TENSORS = re.compile(r"data/(weights|constants)/model_\1_config\.json")
_GRAPH, _INPUTS = "models/model.json", "data/sample_inputs/model.pt"
_BYTES = {
    "DoubleStorage": 8,
    "LongStorage": 8,
    "FloatStorage": 4,
    "IntStorage": 4,
    "HalfStorage": 2,
    "BFloat16Storage": 2,
    "ShortStorage": 2,
    "ByteStorage": 1,
    "CharStorage": 1,
    "BoolStorage": 1,
}
"""Of a number."""
_TARGET = re.compile(
    r"torch\.ops\.aten\.(\w+)\.\w+|_operator\.(?:getitem|add|sub|mul|floordiv|mod|neg|eq|ne|lt|le|gt|ge)"
)
_WORD = re.compile(r"[\w.:+ -]{0,500}")
_SIZE = re.compile(
    r"(?:Symbol\('[su]\d+', positive=True, integer=True\)|Integer|Add|Mul|FloorDiv|Mod|Max|Min"
    r"|\*(?!\*)|[0-9 ()+,/-]){1,500}"
)
_CONTAINERS = (None, "builtins.tuple", "builtins.list", "builtins.dict")


def plain_program(path: str | Path) -> io.BytesIO:
    """A `.pt2` file as torch.export.load may read it. Raises PackageError."""
    copy = io.BytesIO()
    with _copying(path, copy, "file of torch.export") as (source, target):
        for name in source.namelist():
            inner = name.partition("/")[2]
            if _PROGRAM.fullmatch(inner):
                target.writestr(name, source.read(name))
            elif _TENSORS.fullmatch(inner):
                target.writestr(name, json.dumps(_tensors(json.loads(source.read(name)))))
            elif inner == _GRAPH:
                target.writestr(name, json.dumps(_checked(json.loads(source.read(name)))))
            elif inner == _INPUTS:  # a pickle of the inputs it was traced with, which nobody needs
                target.writestr(name, b"")
            else:
                raise ValueError(f"{show(name)} is no part of a network")
    return copy


def plain_torchscript(path: str | Path) -> io.BytesIO:
    """A `.pt` file as torch.jit.load may read it. Raises PackageError."""
    copy, parts = io.BytesIO(), dict[str, bytes]()
    with _copying(path, copy, "TorchScript file") as (source, target):
        for name in source.namelist():
            inner = name.partition("/")[2]
            if inner.endswith(".debug_pkl"):
                continue
            if not _TORCHSCRIPT.fullmatch(inner):
                raise ValueError(f"{show(name)} is no part of a network")
            content = source.read(name)
            if inner.endswith(".py"):
                _check_calls(content.decode())
            target.writestr(name, content)
            parts[inner] = content
        for name in ("data", "constants"):
            _check_storages(parts.get(f"{name}.pkl", b""), name, parts)
    return copy


@contextmanager
def _copying(path: str | Path, copy: io.BytesIO, what: str) -> Iterator[tuple[zipfile.ZipFile, zipfile.ZipFile]]:
    try:
        size = Path(path).stat().st_size
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(copy, "w") as target:
            unpacked_bytes = sum(one.file_size for one in source.infolist())
            if unpacked_bytes > LARGEST_GROWTH * size:
                raise ValueError(f"it would become {unpacked_bytes:,} bytes")
            yield source, target
        copy.seek(0)
    except zipfile.BadZipFile as error:
        raise PackageError(f"{printable(str(path))} is no {what}: {first_line(error)}") from None
    except Exception as error:  # a damaged archive makes its reader fail in many ways
        reason = "is damaged, or holds what could run code, and is not opened"
        raise PackageError(f"{printable(str(path))} {reason}: {first_line(error)}") from None


def _tensors(config: Any) -> Any:
    for about in config["config"].values():
        if about["use_pickle"] or not re.fullmatch(r"(weight|tensor)_\d+", about["path_name"]):
            raise ValueError("a tensor of it is a pickle")
    return config


def _checked(value: Any, key: str = "") -> Any:
    """The same without notes on where it came from; ValueError where a text could be more than a name."""
    if isinstance(value, dict):
        for name in value:
            if not _WORD.fullmatch(name):
                raise ValueError(f"{show(name)} is no name")
        return {name: {} if name == "metadata" else _checked(one, name) for name, one in value.items()}
    if isinstance(value, list):
        if value and key == "guards_code":
            raise ValueError("it has code of its own")
        return [_checked(one, key) for one in value]
    if isinstance(value, str):
        _check_text(value, key)
    return value


def _check_text(text: str, key: str) -> None:
    if key == "target":
        found = _TARGET.fullmatch(text)
        is_fine = found is not None and found[1] not in FILE_OPERATORS
    elif key == "expr_str":  # sympy evaluates it
        is_fine = _SIZE.fullmatch(text) is not None
    elif key in ("in_spec", "out_spec"):
        is_fine = not text or _is_plain_tree(json.loads(text)[1])
    else:
        is_fine = _WORD.fullmatch(text) is not None
    if not is_fine:
        raise ValueError(f"{show(text)} can't stand as {key}")


def _is_plain_tree(tree: Any) -> bool:
    """Of other kinds, PyTorch imports what a text names."""
    return (
        tree["type"] in _CONTAINERS
        and "__enum__" not in str(tree["context"])
        and all(map(_is_plain_tree, tree["children_spec"]))
    )


def _check_storages(pickled: bytes, folder: str, parts: dict[str, bytes]) -> None:
    """That there are as many bytes as numbers are named, beyond which PyTorch would read on. A storage is named by
    (word, type, file, device, count)."""
    given: list[Any] = []
    kept: dict[int, Any] = {}
    for operation, argument, _ in pickletools.genops(pickled) if pickled else ():
        if operation.name in ("BINPUT", "LONG_BINPUT"):
            kept[cast(int, argument)] = given[-1] if given else None
        elif operation.name in ("BINGET", "LONG_BINGET"):
            given.append(kept[cast(int, argument)])
        elif operation.name == "BINPERSID":
            kind, file, _, count = given[-4:]
            if len(parts[f"{folder}/{file}"]) != count * _BYTES[str(kind).removeprefix("torch ")]:
                raise ValueError(f"{show(file)} has not the bytes of {count} numbers")
        elif argument is not None:
            given.append(argument)


def _check_calls(code: str) -> None:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.FunctionDef) and node.name == "__setstate__":
            raise ValueError("it has code that runs when it is opened")
        if not isinstance(node, ast.Attribute):
            continue
        if node.attr in FILE_OPERATORS:
            raise ValueError(f"it calls {show(node.attr)}, which opens a file")
        if isinstance(node.value, ast.Name) and node.value.id == "ops" and node.attr not in ("aten", "prim"):
            raise ValueError(f"it calls operators of {show(node.attr)}")
