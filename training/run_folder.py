"""The files that every run writes.

config.yaml  environment.json     what was run, on what
log.jsonl  tensorboard/           how it went
checkpoints/                      to continue from

space.yaml, of a supernet, or spec.yaml, of a network, says what was trained: see supernet_folder and network_folder.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from supernet.options import Options
from supernet.values import SpecError, printable, show
from supernet.whole_files import write_whole

from .config import RunConfig
from .environment import environment
from .reading import format_config, load_like

logger = logging.getLogger("training")


def checkpoints(folder: Path) -> Path:
    return folder / "checkpoints"


def has_checkpoints(folder: Path) -> bool:
    return any(checkpoints(folder).glob("step_*.pt"))


def write_setting(folder: Path, config: RunConfig, write_subject: Callable[[Path], None]) -> None:
    """Options that were others at the last start in this folder are named in a warning.

    Raises SpecError where the folder can't be written.
    """
    try:
        warn_of_changes(folder, config)
        write_subject(folder)  # the first: it says whose folder this is
        write_whole(folder / "config.yaml", format_config(config))
        write_whole(folder / "environment.json", json.dumps(environment(), indent=1) + "\n")
    except OSError as error:
        raise SpecError("--out", f"{printable(str(folder))} can't be written: {error.strerror}") from None


def warn_of_changes(folder: Path, config: RunConfig) -> None:
    try:
        changed = changes(folder, config)
    except SpecError as error:
        logger.warning("the config of the last start is replaced, as it can't be read: %s", error)
        return
    if changed:
        logger.warning("options that were others at the last start: %s", "; ".join(changed))


def changes(folder: Path, config: RunConfig) -> list[str]:
    """Options that were others at the last start in this folder, in words. SpecError where they can't be read."""
    path = folder / "config.yaml"
    return list(_changes(load_like(config, path), config, "")) if path.exists() else []


def _changes(old: Options, new: Options, place: str) -> Iterator[str]:
    for name in old.__struct_fields__:
        was, now = getattr(old, name), getattr(new, name)
        if isinstance(was, Options) and isinstance(now, Options):
            yield from _changes(was, now, f"{place}{name}.")
        elif was != now:
            yield f"{place}{name} was {show(was)}, now {show(now)}"


def plain(state: Any) -> Any:
    """A state with all tensors on the CPU, none of which is a view of a larger one that would be saved whole."""
    if isinstance(state, torch.Tensor):
        tensor = state.detach().cpu()
        return tensor.clone() if tensor.untyped_storage().nbytes() > tensor.nbytes else tensor
    if isinstance(state, dict):
        return {key: plain(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(plain(value) for value in state)
    return state
