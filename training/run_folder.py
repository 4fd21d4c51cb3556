"""The files of a run: what `train_supernet.py --out` writes, and how later commands read it.

config.yaml  space.yaml  environment.json     what was run, on what
log.jsonl  tensorboard/                       how it went
checkpoints/                                  to continue from
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from supernet import Space, Supernet, load_space, save_space
from supernet.values import SpecError

from .checkpoint import best_checkpoint, load_checkpoint, load_latest
from .config import RunConfig
from .environment import environment
from .reading import format_config, load_config


def checkpoints(folder: Path) -> Path:
    return folder / "checkpoints"


def write_setting(folder: Path, config: RunConfig, space: Space) -> None:
    """Raises SpecError where the folder can't be written, or where something else is in its place."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "config.yaml", format_config(config))
        save_space(space, folder / "space.yaml")
        _write(folder / "environment.json", json.dumps(environment(), indent=1) + "\n")
    except OSError as error:
        raise SpecError("--out", f"{folder} can't be written: {error.strerror}") from None


def read_setting(folder: Path) -> tuple[RunConfig, Space]:
    """The config of a run and the space it trained, with the classes of its data."""
    if not (folder / "config.yaml").is_file():
        raise SpecError(str(folder), "is no run of train_supernet.py: config.yaml is missing")
    return load_config(folder / "config.yaml"), load_space(folder / "space.yaml")


def load_supernet(folder: str | Path, *, best: bool = True, averaged: bool = True) -> Supernet:
    """The supernet of a run: from its best checkpoint (or the newest), with averaged weights where it has them."""
    folder = Path(folder)
    config, space = read_setting(folder)
    path = best_checkpoint(checkpoints(folder)) if best else None
    if path is not None:
        state: dict[str, Any] = load_checkpoint(path)
    else:
        latest = load_latest(checkpoints(folder), expect={})
        if latest is None:
            raise SpecError(str(folder), "has no checkpoint yet")
        state = latest[0]
    net = Supernet(space, norm_per_width=config.norm == "per_width")
    weights = state["averaged"]["net"] if averaged and state.get("averaged") else state["net"]
    net.load_state_dict(weights)
    return net


def _write(path: Path, text: str) -> None:
    beside = path.with_name(path.name + ".tmp")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def plain(state: Any) -> Any:
    """A state with all tensors on the CPU, none of which is a view of a larger one that would be saved whole."""
    if isinstance(state, torch.Tensor):
        tensor = state.detach().cpu()
        return tensor.clone() if tensor.untyped_storage().nbytes() > tensor.nbytes else tensor
    if isinstance(state, dict):
        return {key: plain(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return [plain(value) for value in state]
    return state
