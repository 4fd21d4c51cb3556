"""Specs as YAML: strict reading, whose errors name file, path, value and what is allowed, and the exact way back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec

from .blocks import BLOCKS, Block
from .downsamples import DOWNSAMPLES, Downsample
from .heads import HEADS, Head
from .options import Kind, Options, field_hints
from .plain_yaml import parse_yaml, read_yaml, write_yaml
from .spec import MAX_BLOCKS, NetSpec
from .stems import STEMS, Stem
from .values import SpecError, did_you_mean, printable, show


def _configs() -> Path:
    """`configs/` beside the package in a checkout, or inside an installed package."""
    package = Path(__file__).parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


NETWORKS = _configs() / "networks"
"""Where the published networks lie, one file each."""

KINDS: dict[type[Kind], Mapping[str, type[Kind]]] = {
    Stem: STEMS,
    Downsample: DOWNSAMPLES,
    Block: BLOCKS,
    Head: HEADS,
}


def published_names() -> list[str]:
    return sorted(path.stem for path in NETWORKS.glob("*.yaml"))


def load_spec(name_or_path: str | Path) -> NetSpec:
    """A published network by its name, or any by its file. Raises SpecError, which is a ValueError.

    What has a slash or ends in .yaml or .yml is a file; anything else a published name, or else a file.
    """
    shown = printable(str(name_or_path))
    try:
        return _to_spec(read_yaml(_find(name_or_path)))
    except SpecError as error:
        raise SpecError(f"{shown}: {error.path}" if error.path else shown, error.message) from None


def parse_spec(text: str) -> NetSpec:
    return _to_spec(parse_yaml(text))


def save_spec(spec: NetSpec, path: str | Path) -> None:
    """Written beside and renamed, so that a reader never sees half a file."""
    path = Path(path)
    beside = path.with_name(path.name + ".tmp")
    beside.write_text(format_spec(spec), encoding="utf-8")
    beside.replace(path)


def format_spec(spec: NetSpec) -> str:
    """The canonical YAML: defaults left out, equal neighbours among the blocks written once with `repeat`."""
    data = _plain(spec)
    for stage in data["stages"]:
        stage["blocks"] = _fold_repeats(stage.pop("blocks"))
    data.pop("resolution", None)
    return write_yaml({"family": data.pop("family"), "resolution": _plain(spec.resolution)} | data)


def _plain(value: Any) -> Any:
    """Dictionaries and lists of what YAML knows."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if not isinstance(value, Options):
        return value
    tag = {"kind": value.kind_name()} if isinstance(value, Kind) else {}
    fields = ((field, getattr(value, field.name)) for field in msgspec.structs.fields(value))
    return tag | {field.name: _plain(v) for field, v in fields if field.required or v != field.default}


def _find(name_or_path: str | Path) -> Path:
    if not isinstance(name_or_path, str | Path):
        raise TypeError(f"load_spec takes a name or a path, not {show(name_or_path)}")
    path = Path(name_or_path)
    is_path = isinstance(name_or_path, Path) or any(mark in name_or_path for mark in "/\\")
    if not is_path and name_or_path in published_names():
        return NETWORKS / f"{name_or_path}.yaml"
    try:
        exists = path.exists() and bool(str(name_or_path))
    except (OSError, ValueError) as error:
        raise SpecError("", f"can't be a file: {getattr(error, 'strerror', None) or error}") from None
    if exists and (is_path or not path.is_dir()):
        return path
    if is_path or path.suffix.lower() in (".yaml", ".yml"):
        raise SpecError("", "there is no such file")
    if not published_names():
        raise SpecError("", f"no published networks are installed: {NETWORKS} is missing")
    raise SpecError("", f"no published network has this name, {did_you_mean(path, published_names())}")


def _to_spec(data: Any) -> NetSpec:
    origins: list[list[int]] = []
    try:
        spec = _read(NetSpec, data, "", origins)
    except SpecError as error:
        raise SpecError(_as_written(error.path, origins), error.message) from None
    assert isinstance(spec, NetSpec)
    return spec


def _read(hint: Any, data: Any, path: str, origins: list[list[int]]) -> Any:
    """Turns fields into options where the hint wants options; plain values are checked when those are made.

    `origins` learns for each stage from which entry of the file a block came.
    """
    item = _options_in(hint)
    if item is None or (data is None and type(None) in get_args(hint)):
        return data
    if get_origin(hint) is tuple:
        return _read_list(item, data, path, origins)
    return _read_options(item, data, path, origins)


def _options_in(hint: Any) -> type[Options] | None:
    """X for X, `X | None` and `tuple[X, ...]`, where X is an options struct."""
    if isinstance(hint, type) and issubclass(hint, Options):
        return hint
    return next((part for part in get_args(hint) if isinstance(part, type) and issubclass(part, Options)), None)


def _read_options(expected: type[Options], data: Any, path: str, origins: list[list[int]]) -> Options:
    if not isinstance(data, dict):
        raise SpecError(path, f"{show(data)} can't stand here: expected fields and their values")
    if expected in KINDS:
        kinds = KINDS[expected]
        known = ", ".join(sorted(kinds))
        if "kind" not in data:
            raise SpecError(path, f"the field 'kind' is missing; it is one of {known}")
        kind = data["kind"]
        if not isinstance(kind, str) or kind not in kinds:
            raise SpecError(_join(path, "kind"), f"{show(kind)} is unknown, {did_you_mean(kind, kinds)}")
        expected, data = kinds[kind], {name: value for name, value in data.items() if name != "kind"}
    hints = dict(field_hints(expected))
    fields = {field.name: field for field in msgspec.structs.fields(expected)}
    for name in data:
        if name not in fields:
            raise SpecError(_join(path, name), f"there is no such field, {did_you_mean(name, fields)}")
    for name, field in fields.items():
        if name not in data and field.required:
            raise SpecError(path, f"the field {name!r} is missing")
    values = {name: _read(hints[name], value, _join(path, name), origins) for name, value in data.items()}
    try:
        return expected(**values)
    except SpecError as error:
        raise (error.under(path) if path else error) from None


def _read_list(item: Any, data: Any, path: str, origins: list[list[int]]) -> tuple[Any, ...]:
    if not isinstance(data, list):
        raise SpecError(path, f"{show(data)} can't stand here: expected a list")
    items: list[Any] = []
    origin: list[int] = []
    for index, entry in enumerate(data):
        here = f"{path}[{index}]"
        repeat = 1
        if item is Block and isinstance(entry, dict) and "repeat" in entry:
            repeat = entry["repeat"]
            if type(repeat) is not int or not 1 <= repeat <= MAX_BLOCKS:
                raise SpecError(f"{here}.repeat", f"{show(repeat)} is not a number from 1 to {MAX_BLOCKS}")
            entry = {name: value for name, value in entry.items() if name != "repeat"}
        items += [_read(item, entry, here, origins)] * repeat
        origin += [index] * repeat
    if item is Block:
        origins.append(origin)
    return tuple(items)


def _as_written(path: str, origins: list[list[int]]) -> str:
    """A path in the spec, where repeated blocks are counted singly, as the path in the file."""
    head, bracket, rest = path.partition(".blocks[")
    if not bracket or not head.startswith("stages["):
        return path
    stage, block = int(head[len("stages[") : -1]), rest.split("]")[0]
    if stage >= len(origins) or int(block) >= len(origins[stage]):
        return path
    return f"{head}{bracket}{origins[stage][int(block)]}{rest[len(block) :]}"


def _fold_repeats(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    folded: list[dict[str, Any]] = []
    counts: list[int] = []
    for block in blocks:
        if folded and folded[-1] == block:
            counts[-1] += 1
        else:
            folded.append(block)
            counts.append(1)
    return [block | ({"repeat": count} if count > 1 else {}) for block, count in zip(folded, counts, strict=True)]


def _join(path: str, name: object) -> str:
    part = name if isinstance(name, str) and name.isidentifier() else show(name)
    return f"{path}.{part}" if path else part
