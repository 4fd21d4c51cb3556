"""What a run of train_supernet.py leaves, for later commands."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from supernet import Space, Supernet, load_space
from supernet.values import SpecError, printable

from .checkpoint import CheckpointError, best_checkpoint, load_checkpoint, load_latest
from .reading import load_config
from .run_folder import checkpoints
from .supernet_config import SupernetConfig

logger = logging.getLogger("training")


def is_supernet_run(folder: Path) -> bool:
    return (folder / "config.yaml").is_file() and (folder / "space.yaml").is_file()


def read_setting(folder: Path, overrides: Sequence[str] = ()) -> tuple[SupernetConfig, Space]:
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
