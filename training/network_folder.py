"""What a run of retrain.py leaves, for later commands.

spec.yaml  model.safetensors     the network and its weights, the averaged ones where there are some
classes.txt                      the names of its classes, where the data has them
results.json                     what the last evaluation gave
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from supernet import NetSpec, Network, build, load_spec, load_weights, save_spec, save_weights
from supernet.values import SpecError, first_line, printable
from supernet.whole_files import write_whole

from .network_config import NetworkConfig
from .reading import load_network_config

WEIGHTS, CLASSES, RESULTS = "model.safetensors", "classes.txt", "results.json"


def write_network(folder: Path, net: Network, classes: Sequence[str], scores: Mapping[str, Any], epochs: int) -> None:
    """Under timm's names, where timm can have such a network."""
    try:
        save_weights(net, folder / WEIGHTS)
    except ValueError:
        save_weights(net, folder / WEIGHTS, names="own")
    if classes:
        write_whole(folder / CLASSES, "".join(f"{printable(name)}\n" for name in classes))
    write_whole(folder / RESULTS, json.dumps({**scores, "epochs": epochs}, indent=1) + "\n")


def begin_network(folder: Path, spec: NetSpec) -> None:
    """What an earlier end of this run left counts no more."""
    save_spec(spec, folder / "spec.yaml")
    (folder / RESULTS).unlink(missing_ok=True)


def is_network_run(folder: Path) -> bool:
    return folder.is_dir() and (folder / "spec.yaml").is_file() and (folder / "config.yaml").is_file()


def read_network_setting(folder: Path, overrides: Sequence[str] = ()) -> tuple[NetworkConfig, NetSpec]:
    """The config of a run, and its network with the classes of its data."""
    if not folder.is_dir():
        raise SpecError(printable(str(folder)), "there is no such folder; it would be one that retrain.py made")
    for name in ("config.yaml", "spec.yaml"):
        if not (folder / name).is_file():
            raise SpecError(printable(str(folder)), f"is no run of retrain.py: {name} is missing")
    return load_network_config(folder / "config.yaml", overrides), load_spec(folder / "spec.yaml")


def read_results(folder: Path) -> dict[str, Any]:
    """Of the last evaluation; SpecError where the run has not come so far."""
    try:
        found = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecError(printable(str(folder)), "has not finished: the same command of retrain.py goes on") from None
    except (OSError, ValueError, RecursionError) as error:
        raise SpecError(printable(str(folder / RESULTS)), f"can't be read: {first_line(error)}") from None
    if not isinstance(found, dict):
        raise SpecError(printable(str(folder / RESULTS)), "holds no results: the same command of retrain.py goes on")
    return found


def load_network(folder: str | Path) -> Network:
    """The network that a run ended with, in evaluation mode."""
    folder = Path(folder)
    _, spec = read_network_setting(folder)
    read_results(folder)
    net = build(spec)
    load_weights(net, folder / WEIGHTS)
    return net.eval()


def read_classes(folder: Path) -> tuple[str, ...]:
    path = folder / CLASSES
    try:
        return tuple(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else ()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(printable(str(path)), f"can't be read as names of classes: {first_line(error)}") from None
