"""Checkpoint files: tensors only. Nothing is unpickled but tensors, containers and what training scripts add."""

from __future__ import annotations

import argparse
import json
import pickle
import re
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ..values import UserError, first_line, printable
from ..whole_files import whole_file
from .pickles import look_through

State = dict[str, Tensor]
SPEC_KEY = "slimformer_spec"
_AVERAGED = ("state_dict_ema", "model_ema", "ema_state_dict", "ema")
_WRAPPERS = ("state_dict", "model", "model_state", "model_state_dict", "module", "net", "network")
_PREFIXES = ("module.", "_orig_mod.", "model.")
_SCALAR: Any = np._core.multiarray.scalar  # type: ignore[attr-defined]
# Harmless classes that published checkpoints carry beside their tensors: settings and numpy numbers.
_HARMLESS: list[Any] = [
    argparse.Namespace,
    np.dtype,
    (_SCALAR, "numpy.core.multiarray.scalar"),
    (_SCALAR, "numpy._core.multiarray.scalar"),
    *{type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "int32", "bool")},
]


class WeightsError(UserError, ValueError):
    """A file that can't be used as weights for a network; the message is one line or a short list."""


def read_state(path: str | Path, ema: bool = True) -> tuple[State, dict[str, str]]:
    """The tensors of a file and its metadata; of averaged and plain weights, the averaged ones if `ema`."""
    path = Path(path)
    if not path.exists():
        raise WeightsError(f"{path}: there is no such file")
    if not path.is_file():
        raise WeightsError(f"{path}: is no file")
    try:
        if _is_safetensors(path):
            with safetensors.safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
            return _checked(_without_prefixes(safetensors.torch.load_file(path)), path), metadata
        with torch.serialization.safe_globals(_HARMLESS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols, which are not the user's business
            with path.open("rb") as file:
                look_through(file)
                data = torch.load(file, map_location="cpu", weights_only=True)
    except WeightsError:
        raise
    except Exception as error:  # a damaged file makes the readers fail in many ways, and all mean the same
        raise WeightsError(f"{path}: {_reason(error)}") from None
    return _checked(_without_prefixes(_unwrap(data, path, ema)), path), {}


def write_state(state: State, path: str | Path, metadata: dict[str, str]) -> None:
    """Safetensors, or a torch file for `.pth` and `.pt`; written beside and renamed."""
    path = Path(path)
    if path.suffix not in (".safetensors", ".pth", ".pt"):
        raise WeightsError(f"{path}: the suffix {path.suffix!r} is not one of .safetensors, .pth, .pt")
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    try:
        with whole_file(path) as beside:
            if path.suffix == ".safetensors":
                safetensors.torch.save_file(contiguous, beside, metadata=metadata)
                _sort_metadata(beside)
            else:
                torch.save(contiguous, beside)
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        raise WeightsError(f"{path}: can't be written ({first_line(error)})") from None


def _sort_metadata(path: Path) -> None:
    """Equal weights shall be equal files: the library writes metadata in any order."""
    with path.open("r+b") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
        if len(text) <= length:  # as long as it was, but for the spaces at its end
            file.seek(8)
            file.write(text.ljust(length))


def _is_safetensors(path: Path) -> bool:
    if path.suffix == ".safetensors":
        return True
    with path.open("rb") as file:
        start = file.read(9)
    return len(start) == 9 and start[8:9] == b"{" and struct.unpack("<Q", start[:8])[0] < path.stat().st_size


def _reason(error: Exception) -> str:
    found = re.search(r"Unsupported (?:global|class|operand)[^\n]*", str(error))
    if found or isinstance(error, pickle.UnpicklingError):
        what = f" ({first_line(Exception(found[0]))})" if found else ""
        return f"holds more than tensors, or is damaged; what may run code when read is not loaded{what}"
    return f"is no checkpoint that can be read ({first_line(error)})"


def _unwrap(data: Any, path: Path, ema: bool) -> State:
    names = (*_AVERAGED, *_WRAPPERS) if ema else (*_WRAPPERS, *_AVERAGED)
    tensors = _tensors_of(data, names, depth=4)
    if not tensors:
        raise WeightsError(f"{path}: holds no tensors by name, at the top or under {', '.join(names)}")
    return tensors


def _tensors_of(data: Any, names: tuple[str, ...], depth: int) -> State:
    """The tensors under the first of the names that holds any, or else those at the top."""
    if not isinstance(data, Mapping) or depth == 0:
        return {}
    for name in names:
        inner = _tensors_of(data.get(name), names, depth - 1)
        if any(tensor.ndim for tensor in inner.values()):  # more than settings, such as a decay
            return inner
    return {str(name): value for name, value in data.items() if isinstance(value, Tensor)}


def _without_prefixes(state: State) -> State:
    """Without what wrappers for parallel, compiled or averaged training put before every name, or nearly every."""
    state = {name: tensor for name, tensor in state.items() if name != "n_averaged"}
    while True:
        counts = {prefix: sum(name.startswith(prefix) for name in state) for prefix in _PREFIXES}
        prefix = max(counts, key=lambda p: counts[p])
        if 2 * counts[prefix] <= len(state):
            return state
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}


def _checked(state: State, path: Path) -> State:
    """Plain numbers only: what copying would cut or can't do is refused."""
    for name, tensor in state.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex():
            raise WeightsError(f"{path}: {name} is a {tensor.dtype} tensor of {tensor.layout}; take plain weights")
        if tensor.is_meta or tensor.numel() == 0:
            raise WeightsError(f"{path}: {printable(name)} has no values")
    return state
