"""The files of a run: what `train_supernet.py --out` writes, and how later commands read it.

config.yaml  space.yaml  environment.json     what was run, on what
log.jsonl  tensorboard/                       how it went
checkpoints/                                  to continue from
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from supernet import Space, Supernet, load_space, save_space
from supernet.options import Options
from supernet.values import SpecError, printable, show
from supernet.whole_files import write_whole

from .checkpoint import CheckpointError, best_checkpoint, load_checkpoint, load_latest
from .config import RunConfig
from .environment import environment
from .reading import format_config, load_config

logger = logging.getLogger("training")


def checkpoints(folder: Path) -> Path:
    return folder / "checkpoints"


def has_checkpoints(folder: Path) -> bool:
    return any(checkpoints(folder).glob("step_*.pt"))


def write_setting(folder: Path, config: RunConfig, space: Space) -> None:
    """Options that were others at the last start in this folder are named in a warning.

    Raises SpecError where the folder can't be written.
    """
    try:
        warn_of_changes(folder, config)
        save_space(space, folder / "space.yaml")  # the first: it says whose folder this is
        write_whole(folder / "config.yaml", format_config(config))
        write_whole(folder / "environment.json", json.dumps(environment(), indent=1) + "\n")
    except OSError as error:
        raise SpecError("--out", f"{printable(str(folder))} can't be written: {error.strerror}") from None


def warn_of_changes(folder: Path, config: RunConfig) -> None:
    path = folder / "config.yaml"
    if not path.exists():
        return
    try:
        changed = list(_changes(load_config(path), config, ""))
    except SpecError as error:
        logger.warning("the config of the last start is replaced, as it can't be read: %s", error)
        return
    if changed:
        logger.warning("options that were others at the last start: %s", "; ".join(changed))


def _changes(old: Options, new: Options, place: str) -> Iterator[str]:
    for name in old.__struct_fields__:
        was, now = getattr(old, name), getattr(new, name)
        if isinstance(was, Options) and isinstance(now, Options):
            yield from _changes(was, now, f"{place}{name}.")
        elif was != now:
            yield f"{place}{name} was {show(was)}, now {show(now)}"


def read_setting(folder: Path, overrides: Sequence[str] = ()) -> tuple[RunConfig, Space]:
    """The config of a run and the space it trained, with the classes of its data."""
    for name in ("config.yaml", "space.yaml"):
        if not (folder / name).is_file():
            raise SpecError(printable(str(folder)), f"is no run of train_supernet.py: {name} is missing")
    return load_config(folder / "config.yaml", overrides), load_space(folder / "space.yaml")


def load_supernet(folder: str | Path, *, best: bool = True, averaged: bool = True) -> Supernet:
    """The supernet of a run: from its best checkpoint (or the newest), with averaged weights where it has them."""
    return read_supernet(Path(folder), best=best, averaged=averaged)[0]


def read_supernet(folder: Path, *, best: bool = True, averaged: bool = True) -> tuple[Supernet, Path]:
    """The same, and the checkpoint it is from."""
    config, space = read_setting(folder)
    found = (_best(folder) if best else None) or load_latest(checkpoints(folder), expect={})
    if found is None:
        raise SpecError(printable(str(folder)), "has no checkpoint yet")
    state, path = found
    net = Supernet(space, norm_per_width=config.norm == "per_width")
    try:
        net.load_state_dict(state["averaged"]["net"] if averaged and state.get("averaged") else state["net"])
    except (RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(f"{path}: its weights are not those of space.yaml and config.yaml: {reason}") from None
    return net, path


def _best(folder: Path) -> tuple[dict[str, Any], Path] | None:
    """None where no checkpoint has a score, or the one with the best is damaged."""
    path = best_checkpoint(checkpoints(folder))
    if path is None:
        return None
    try:
        return load_checkpoint(path), path
    except CheckpointError as error:
        logger.warning("the best checkpoint is refused, and the newest taken: %s", error)
        return None


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
