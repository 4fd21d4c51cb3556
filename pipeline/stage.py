"""What a stage is: commands that a user could type, what they depend on, and the folder they fill."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from supernet import SpecError, load_space
from supernet.options import Options

CLASSES = "data.num_classes"
"""The option of all stages whose result depends on it."""


@dataclass(frozen=True)
class Command:
    words: tuple[str, ...]
    into: Path | None = None
    """A file for what it prints, instead of the terminal."""


@dataclass(frozen=True)
class Stage:
    name: str
    """That of its folder, such as `tables/host`; the part before the slash is what `--only` and `--again` take."""
    title: str
    """What it does, as a sentence of a progress report: `trains a supernet of the space tiny`."""
    folder: Path
    commands: tuple[Command, ...]
    options: Mapping[str, Any]
    """Plain values that the result depends on, by name."""
    reads: Mapping[str, Path]
    """Files and folders that the result depends on, those of other stages too."""
    makes: tuple[Path, ...]
    """Without them the stage has not been done."""
    anew: tuple[str, ...] = ("*",)
    """Where one of these inputs changes (patterns of names), the folder makes place for a new one; with others the
    commands go on from what lies there."""
    counts: Path | None = None
    """The trained space, which says how many classes were counted, where the config says none (0)."""
    needs: Mapping[str, Path] = field(default_factory=dict)
    """Files that have to be there; what the result depends on in them is in the other inputs, or counted."""
    written: Mapping[Path, str] = field(default_factory=dict)
    """Files that the commands get, and what stands in them."""

    @property
    def kind(self) -> str:
        return self.name.partition("/")[0]

    @property
    def makers(self) -> set[str]:
        """The names of the stages whose results it reads, as far as they are of this pipeline."""
        return set(filter(None, map(maker, self.reads)))

    def makes_place(self, changed: Iterable[str]) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for name in changed for pattern in self.anew)


def maker(read: str) -> str:
    """The name of the stage that makes what a stage reads by this name; empty where the config names it."""
    if read.startswith("table of "):
        return f"tables/{read.removeprefix('table of ')}"
    kind = read.partition("/")[0]
    return read if kind == "networks" else kind if kind in ("supernet", "search") else ""


def inputs(stage: Stage) -> dict[str, Any]:
    """All that the result depends on, as plain values; what lies in files by a digest of it."""
    files = {f"file {name}": digest(path) for name, path in stage.reads.items()}
    return counted(stage, dict(stage.options) | files)


def counted(stage: Stage, inputs: dict[str, Any]) -> dict[str, Any]:
    """With the number of classes that was counted, where none was said: to say the same number changes nothing."""
    if stage.counts is None or inputs.get(CLASSES) != 0:
        return inputs
    try:
        return inputs | {CLASSES: load_space(stage.counts).num_classes}
    except SpecError:
        return inputs


def digest(path: Path) -> str:
    """Of a file, or of the names and contents of all files below a folder; empty where there is none."""
    if path.is_file() and path.suffix == ".yaml":  # whose comments are for people
        lines = [line for line in path.read_bytes().splitlines() if not line.startswith(b"#")]
        return hashlib.sha256(b"\n".join(lines)).hexdigest()[:16]
    if path.is_file():
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()[:16]
    if not path.is_dir():
        return ""
    whole = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file() and not file.name.startswith("."):
            whole.update(f"{file.relative_to(path).as_posix()}\n{digest(file)}\n".encode())
    return whole.hexdigest()[:16]


def flat(options: Options | Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    """`schedule.epochs`, 20: single values, defaults included, so that changes can be named."""
    items = options.items() if isinstance(options, Mapping) else _fields(options)
    for name, value in items:
        if isinstance(value, Options | Mapping) and value:
            yield from flat(value, f"{place}{name}.")
        else:
            yield f"{place}{name}", _plain(value)


def _fields(options: Options) -> Iterator[tuple[str, Any]]:
    from supernet.options import Kind

    if isinstance(options, Kind):
        yield "kind", options.kind_name()
    for name in options.__struct_fields__:
        yield name, getattr(options, name)


def _plain(value: Any) -> Any:
    """As JSON would give it back."""
    if isinstance(value, tuple | list):
        return [dict(flat(one)) if isinstance(one, Options | Mapping) else _plain(one) for one in value]
    return value
