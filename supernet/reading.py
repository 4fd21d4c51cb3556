"""Specs as YAML: strict reading, whose errors name file, path, value and what is allowed, and the exact way back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import own_blocks
from .blocks import BLOCKS, Block
from .config_files import CONFIGS, find_file, names_in
from .downsamples import DOWNSAMPLES, Downsample
from .heads import HEADS, Head
from .options import Kind
from .plain_yaml import parse_yaml, read_yaml, write_yaml
from .spec import MAX_BLOCKS, NetSpec
from .stems import STEMS, Stem
from .strict_reading import ReadEntry, StrictReader, to_plain
from .values import SpecError, printable, show
from .whole_files import write_whole

NETWORKS = CONFIGS / "networks"
"""Where the published networks lie, one file each."""

KINDS: dict[type[Kind], Mapping[str, type[Kind]]] = {
    Stem: STEMS,
    Downsample: DOWNSAMPLES,
    Block: BLOCKS,
    Head: HEADS,
}


def published_names() -> list[str]:
    return names_in(NETWORKS)


def load_spec(name_or_path: str | Path) -> NetSpec:
    """A published network by its name, or any by its file. Raises SpecError, which is a ValueError.

    What has a slash or ends in .yaml or .yml is a file; anything else a published name, or else a file.
    """
    shown = printable(str(name_or_path))
    try:
        return _to_spec(read_yaml(find_file(name_or_path, NETWORKS, "published network")))
    except SpecError as error:
        raise SpecError(f"{shown}: {error.path}" if error.path else shown, error.message) from None


def parse_spec(text: str) -> NetSpec:
    return _to_spec(parse_yaml(text))


def save_spec(spec: NetSpec, path: str | Path) -> None:
    write_whole(path, format_spec(spec))


def format_spec(spec: NetSpec) -> str:
    """The canonical YAML: defaults left out, equal neighbours among the blocks written once with `repeat`."""
    data = to_plain(spec)
    for stage in data["stages"]:
        stage["blocks"] = _fold_repeats(stage.pop("blocks"))
    data.pop("resolution", None)
    return write_yaml({"family": data.pop("family"), "resolution": to_plain(spec.resolution)} | data)


def _to_spec(data: Any) -> NetSpec:
    own_blocks.check()
    origins: list[list[int]] = []

    def read_blocks(entries: list[Any], path: str, read: ReadEntry) -> list[Any]:
        blocks, origin = _unfold_repeats(entries, path, read)
        origins.append(origin)
        return blocks

    try:
        return StrictReader(KINDS, {Block: read_blocks}).read(NetSpec, data)
    except SpecError as error:
        raise SpecError(_as_written(error.path, origins), error.message) from None


def _unfold_repeats(entries: list[Any], path: str, read: ReadEntry) -> tuple[list[Any], list[int]]:
    """The blocks of a stage, and for each of them from which entry of the file it came."""
    blocks: list[Any] = []
    origin: list[int] = []
    for index, entry in enumerate(entries):
        here = f"{path}[{index}]"
        repeat = 1
        if isinstance(entry, dict) and "repeat" in entry:
            repeat = entry["repeat"]
            if type(repeat) is not int or not 1 <= repeat <= MAX_BLOCKS:
                raise SpecError(f"{here}.repeat", f"{show(repeat)} is not a number from 1 to {MAX_BLOCKS}")
            entry = {name: value for name, value in entry.items() if name != "repeat"}
        blocks += [read(entry, here)] * repeat
        origin += [index] * repeat
    return blocks, origin


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
