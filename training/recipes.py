"""Recipes: how networks of a family are trained, apart from which one, with what differs for single ones.

A recipe is the YAML of a NetworkConfig without `spec`. Changes by the name of a network stand under `variants`:

    optimizer: {lr: 4e-3}
    variants:
      iformer_l: {step: {drop_path: 0.1}}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from supernet import NetSpec, SpecError, load_spec, published_names
from supernet.config_files import CONFIGS, find_file
from supernet.plain_yaml import read_yaml
from supernet.values import did_you_mean, printable, show

from .network_config import NetworkConfig
from .reading import read_network_config

RECIPES = CONFIGS / "retrain"
VARIANTS = "variants"


def find_config(what: str, recipe: str, overrides: Sequence[str]) -> NetworkConfig:
    """Of a network, or of a file that is a whole run: one that says its `spec` itself. `recipe` is a name or a file;
    empty: that of the network's family."""
    path = Path(what)
    if what not in published_names() and path.is_file():
        data = _read(path)
        if isinstance(data, dict) and "data" in data:
            if recipe:
                raise SpecError("--recipe", f"{printable(what)} is a whole run already")
            return read_network_config(with_variant(data, data.get("spec")), overrides, printable(what))
    return with_recipe(what, recipe, overrides)


def with_recipe(network: str, recipe: str, overrides: Sequence[str]) -> NetworkConfig:
    """A published name, or a file."""
    path = _recipe_of(load_spec(network), recipe)
    return read_network_config(with_variant(_read(path), network) | {"spec": network}, overrides, printable(str(path)))


def _recipe_of(spec: NetSpec, recipe: str) -> Path:
    try:
        return find_file(recipe or spec.family, RECIPES, "recipe")
    except SpecError as error:
        if not recipe:
            raise SpecError("--recipe", f"is needed: there is none for networks of the family {spec.family}") from None
        raise SpecError("--recipe", f"{show(recipe)}: {error}") from None


def _read(path: Path) -> Any:
    try:
        data = read_yaml(path)
    except SpecError as error:
        raise SpecError(printable(str(path)), str(error)) from None
    if not isinstance(data, dict):
        raise SpecError(printable(str(path)), f"is neither a network nor a run: it holds {show(data)}")
    return data


def with_variant(data: dict[str, Any], network: object) -> dict[str, Any]:
    """Names of variants are those of published networks; a network that was found has none."""
    variants = data.get(VARIANTS) or {}
    if not isinstance(variants, Mapping):
        raise SpecError(VARIANTS, f"{show(variants)} is not a list of changes by the name of a network")
    for name in variants:
        if name not in published_names():
            raise SpecError(VARIANTS, f"{show(name)} is no published network, {did_you_mean(name, published_names())}")
    common = {name: value for name, value in data.items() if name != VARIANTS}
    return merged(common, variants.get(network) or {})


def merged(data: Any, changes: Any) -> Any:
    """The data with what the changes say: mappings are merged unless they are of different kinds, all else is
    replaced."""
    if not isinstance(data, dict) or not isinstance(changes, dict):
        return changes
    if changes.get("kind", data.get("kind")) != data.get("kind"):
        return changes
    return data | {name: merged(data.get(name), value) for name, value in changes.items()}
