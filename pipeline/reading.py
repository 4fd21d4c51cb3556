"""A config of the whole way, taken apart into what each command gets: strictly read, before anything runs.

A section (`supernet`, `search`, `retrain`) has the options of its command. What it says wins over what the shared part
says, and that over the config that `like` names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from search.config import SearchConfig
from search.reading import read_config as read_search
from supernet import SpecError, load_space
from supernet.config_files import CONFIGS, find_file
from supernet.option_files import OptionFiles
from supernet.plain_yaml import read_yaml
from supernet.strict_reading import to_plain
from supernet.values import printable, show
from training.network_config import NetworkConfig
from training.reading import read_config as read_supernet
from training.reading import read_network_config
from training.recipes import RECIPES, VARIANTS, merged, with_variant
from training.supernet_config import SupernetConfig

from .config import PipelineConfig

PIPELINES = CONFIGS / "pipelines"
SECTIONS = {"supernet": CONFIGS, "search": CONFIGS / "search", "retrain": RECIPES}
"""And where the configs lie that `like` names."""
ELSEWHERE = {
    "supernet": {"space": "space"},
    "search": {"supernet": "", "space": "space", "constraints": "budget", "tables": "devices"},
    "retrain": {"spec": "", "init": "networks.from_supernet"},
}
"""Options that a section can't have, and where they are said instead; empty: a stage before gives them."""
DIGITS = 10
"""Classes of the images that come along."""
IMAGES = ("source", "path", "train", "validation", "image_key", "label_key", "num_classes", "held_out")
"""Options of `data` that say which images; the others say how they are read."""

_FILES = OptionFiles(PipelineConfig, "a pipeline")
Config = TypeVar("Config", SupernetConfig, SearchConfig, NetworkConfig)


@dataclass(frozen=True)
class Pipeline:
    shared: PipelineConfig
    supernet: SupernetConfig
    search: SearchConfig
    """Without supernet and tables."""
    recipe: dict[str, Any]
    """YAML's values of a NetworkConfig without `spec`, and of `variants`."""

    @property
    def classes(self) -> int:
        """Of the images, as far as the config knows; 0 where they are counted later."""
        return self.shared.data.num_classes or (DIGITS if self.shared.data.source == "digits" else 0)

    def plain(self) -> dict[str, Any]:
        """A config that is read as the same pipeline and needs no other file."""
        supernet, search, recipe = to_plain(self.supernet), to_plain(self.search), dict(self.recipe)
        for one in (supernet, recipe):
            one["data"] = {name: value for name, value in one["data"].items() if name not in IMAGES}
        for name in ELSEWHERE["supernet"]:
            supernet.pop(name, None)
        search.pop("constraints", None)
        parts = {"supernet": supernet, "search": search, "retrain": {"like": ""} | recipe}
        return to_plain(self.shared) | {name: part for name, part in parts.items() if part}


@dataclass(frozen=True)
class _Section:
    name: str
    source: str
    """Of errors."""
    told: dict[str, Any]
    """Without `like`."""
    like: dict[str, Any]
    """What that config holds; empty where there is none."""
    overrides: list[str]

    def data(self, shared: PipelineConfig, **more: Any) -> dict[str, Any]:
        """The images are the shared ones; how they are read may be the section's own, or that of `like`."""
        reading = {name: value for name, value in self.like.get("data", {}).items() if name not in IMAGES}
        return {"data": reading | to_plain(shared.data) | more | self.told.get("data", {})}

    def read(self, read: Callable[[Any, Sequence[str], str], Config], data: Mapping[str, Any]) -> Config:
        try:
            return read(data, self.overrides, self.source)
        except SpecError as error:
            raise SpecError("", str(error).replace("--set ", f"--set {self.name}.", 1)) from None


def load_pipeline(name: str | Path, overrides: Sequence[str] = ()) -> Pipeline:
    """A name from configs/pipelines/, or a file. SpecError says file, place, value and what is right."""
    shown = printable(str(name))
    try:
        data = read_yaml(find_file(name, PIPELINES, "pipeline"))
    except SpecError as error:
        raise SpecError(shown, str(error)) from None
    if not isinstance(data, dict):
        raise SpecError(shown, f"{show(data)} is no pipeline: expected fields and their values")
    own = [one for one in overrides if _first(one) not in SECTIONS]
    shared = _FILES.read({key: value for key, value in data.items() if key not in SECTIONS}, own, shown)
    family = _family(shared, shown)
    usual = {"supernet": "", "search": "", "retrain": family}
    supernet, search, retrain = (_section(one, data.get(one), overrides, shown, usual[one]) for one in SECTIONS)
    return Pipeline(shared, _supernet(supernet, shared), _search(search, shared), _recipe(retrain, shared))


def _family(shared: PipelineConfig, shown: str) -> str:
    try:
        family = load_space(shared.space).family
    except SpecError as error:
        raise SpecError(f"{shown}: space", str(error)) from None
    for index, device in enumerate(shared.devices):
        if device.table and not Path(device.table).expanduser().is_file():
            raise SpecError(f"{shown}: devices[{index}].table", f"there is no file {printable(device.table)}")
    return family


def _section(name: str, told: Any, overrides: Sequence[str], source: str, usual: str) -> _Section:
    """With `like`, or the config that is usual."""
    source = f"{source}: {name}"
    told = _options(told, source)
    if "data" in told:
        told["data"] = _options(told["data"], f"{source}.data")
    mine = [one.strip().removeprefix(f"{name}.") for one in overrides if _first(one) == name]
    for one in mine:
        if one.partition("=")[0].strip() == name:
            raise SpecError(f"--set {printable(one)}", f"a section has options, such as {name}.like")
    for one in mine:
        if one.partition("=")[0].strip() == "like":
            told["like"] = one.partition("=")[2].strip()
    mine = [one for one in mine if one.partition("=")[0].strip() != "like"]
    places = [*told, *(one.partition("=")[0].strip() for one in mine)]
    for place in [*places, *(f"data.{one}" for one in told.get("data", {}))]:
        _check_own(name, str(place), source)
    if "like" not in told and not _is_there(usual, name):
        raise SpecError(source, f"no config is usual for this space; name one, such as `{name}: {{like: digits}}`")
    like = _like(told.pop("like", usual), name, source)
    return _Section(name, source, told, like, mine)


def _check_own(section: str, place: str, source: str) -> None:
    field, _, below = place.partition(".")
    elsewhere = ELSEWHERE[section].get(field)
    if field == "data" and below in IMAGES and (section, below) != ("retrain", "held_out"):
        elsewhere = place
    if elsewhere == "":
        raise SpecError(f"{source}.{place}", "is not said: a stage before gives it")
    if elsewhere:
        raise SpecError(f"{source}.{place}", f"is said once for all stages, by `{elsewhere}` outside of the section")


def _is_there(config: str, section: str) -> bool:
    try:
        return not config or find_file(config, SECTIONS[section], "config").is_file()
    except SpecError:
        return False


def _like(like: Any, section: str, source: str) -> dict[str, Any]:
    if not like:
        return {}
    try:
        data = read_yaml(find_file(str(like), SECTIONS[section], "config"))
    except SpecError as error:
        raise SpecError(f"{source}.like", f"{show(like)}: {error}") from None
    if not isinstance(data, dict):
        raise SpecError(f"{source}.like", f"{show(like)} is no config: it holds {show(data)}")
    return data | {"data": _options(data.get("data"), f"{source}.like: {show(like)}: data")}


def _options(told: Any, place: str) -> dict[str, Any]:
    if told is not None and not isinstance(told, dict):
        raise SpecError(place, f"{show(told)} can't stand here: expected options and their values")
    return dict(told or {})


def _supernet(section: _Section, shared: PipelineConfig) -> SupernetConfig:
    data = merged(section.like, section.told) | {"space": shared.space} | section.data(shared)
    return section.read(read_supernet, data)


def _search(section: _Section, shared: PipelineConfig) -> SearchConfig:
    """The latencies of all devices are objectives, and the best network is measured on the first that is this computer,
    unless the section says otherwise."""
    objectives = ["accuracy", *(f"latency {device.name}" for device in shared.devices), "params"]
    here = [one.name for one in shared.devices if not one.table and one.by in ("onnxruntime", "torch")]
    usual: dict[str, Any] = {"objectives": objectives, "measure": here[0] if here else ""}
    left_out = (*ELSEWHERE["search"], *usual, "data")
    like = {name: value for name, value in section.like.items() if name not in left_out}
    return section.read(read_search, merged(like | usual, section.told) | {"constraints": list(shared.budget)})


def _recipe(section: _Section, shared: PipelineConfig) -> dict[str, Any]:
    """Networks learn from the images that the supernet held out, too."""
    data = merged(section.like, section.told) | section.data(shared, held_out=0)

    def of(network: str | None) -> NetworkConfig:
        try:
            whole = with_variant(data, network)
        except SpecError as error:
            raise SpecError(f"{section.source}.{error.path}", error.message) from None
        return section.read(read_network_config, whole | {"spec": network or "any"})

    config = of(None)
    for network in data.get(VARIANTS) or {}:
        of(network)
    changed = {name: value for name, value in to_plain(config).items() if name != "spec"}
    return changed | ({VARIANTS: data[VARIANTS]} if data.get(VARIANTS) else {})


def _first(override: str) -> str:
    return override.partition("=")[0].partition(".")[0].strip()
