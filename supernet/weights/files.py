"""Checkpoint files: tensors only. Nothing is unpickled but tensors, containers and what training scripts add."""

from __future__ import annotations

import argparse
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

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


class WeightsError(ValueError):
    """A file that can't be used as weights for a network; the message is one line or a short list."""


def read_state(path: str | Path, ema: bool = True) -> tuple[State, dict[str, str]]:
    """The tensors of a file and its metadata; of averaged and plain weights, the averaged ones if `ema`."""
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file")
    try:
        if _is_safetensors(path):
            with safetensors.safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
            return _without_prefixes(safetensors.torch.load_file(path)), metadata
        with torch.serialization.safe_globals(_HARMLESS):
            data = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{path}: {_reason(error)}") from None
    except (safetensors.SafetensorError, RuntimeError, OSError, EOFError, ValueError, KeyError, struct.error) as error:
        raise WeightsError(f"{path}: is no checkpoint that can be read ({_first_line(error)})") from None
    return _without_prefixes(_unwrap(data, path, ema)), {}


def write_state(state: State, path: str | Path, metadata: dict[str, str]) -> None:
    """Safetensors, or a torch file for `.pth` and `.pt`; written beside and renamed."""
    path = Path(path)
    if path.suffix not in (".safetensors", ".pth", ".pt"):
        raise WeightsError(f"{path}: the suffix {path.suffix!r} is not one of .safetensors, .pth, .pt")
    beside = path.with_name(path.name + ".tmp")
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(contiguous, beside, metadata=metadata)
    else:
        torch.save(contiguous, beside)
    beside.replace(path)


def _is_safetensors(path: Path) -> bool:
    if path.suffix == ".safetensors":
        return True
    with path.open("rb") as file:
        start = file.read(9)
    return len(start) == 9 and start[8:9] == b"{" and struct.unpack("<Q", start[:8])[0] < path.stat().st_size


def _reason(error: Exception) -> str:
    first = _first_line(error)
    if "Unsupported global" in str(error) or "weights_only" in str(error).lower():
        name = next((word for word in str(error).split() if "." in word and word.isidentifier() is False), "")
        return f"holds Python objects beside tensors, which may run code when read; it is not loaded ({first or name})"
    return f"is no checkpoint that can be read ({first})"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__


def _unwrap(data: Any, path: Path, ema: bool) -> State:
    names = (*_AVERAGED, *_WRAPPERS) if ema else (*_WRAPPERS, *_AVERAGED)
    for _ in range(4):
        if not isinstance(data, Mapping):
            break
        inner = next((data[name] for name in names if isinstance(data.get(name), Mapping)), None)
        if inner is None:
            break
        data = inner
    tensors = (
        {str(name): value for name, value in data.items() if isinstance(value, Tensor)}
        if isinstance(data, Mapping)
        else {}
    )
    if not tensors:
        raise WeightsError(f"{path}: holds no tensors by name, at the top or under {', '.join(names)}")
    return tensors


def _without_prefixes(state: State) -> State:
    """Without what wrappers for parallel, compiled or averaged training put before every name."""
    state = {name: tensor for name, tensor in state.items() if name != "n_averaged"}
    while True:
        prefix = next((p for p in _PREFIXES if state and all(name.startswith(p) for name in state)), None)
        if prefix is None:
            return state
        state = {name[len(prefix) :]: tensor for name, tensor in state.items()}
