"""Kinds of blocks and families of a user's own, from Python files that the environment names.

Specs, spaces and configs are data that may come from anywhere, so none of them can name a file whose code is then run:
only whoever starts a command can, by SLIMFORMER_BLOCKS. The processes that the command starts have it, too.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from .blocks import BLOCKS, Block
from .downsamples import DOWNSAMPLES
from .families import FAMILIES, Family
from .heads import HEADS
from .options import Kind
from .space.choices import DIMENSION_OF, DIMENSIONS
from .stems import STEMS
from .values import OWN_FILES, SpecError, UserError, did_you_mean, first_line, printable, show

OwnBlock = TypeVar("OwnBlock", bound=type[Block])

_WRITTEN_BY_EACH = ("module", "cost", "summary")
_OF_ENTRIES = ("repeat", "slots", "count")
"""Fields that an entry of `blocks` may have beside those of its kind."""
_failures: list[SpecError] = []


def register(kind: OwnBlock) -> OwnBlock:
    """Decorates a `class Mine(Block, tag="mine", frozen=True)`. Raises SpecError where it can't be a kind of block."""
    if not (isinstance(kind, type) and issubclass(kind, Block)):
        raise SpecError("register", f"{show(kind)} is no class of blocks: derive it from supernet.blocks.Block")
    name, who = kind.kind_name(), kind.__name__
    _check_name(name, who, f'tag="{name.lower()}"')
    if name in BLOCKS:
        raise SpecError(who, f"the kind {name!r} is taken, by {BLOCKS[name].__name__} in {BLOCKS[name].__module__}")
    for method in _WRITTEN_BY_EACH:
        if getattr(kind, method) is getattr(Block, method):
            raise SpecError(who, f"has no method {method!r}, which every kind of block must have")
    for field in kind.__struct_fields__:
        if field in _OF_ENTRIES:
            raise SpecError(who, f"no field can be called {field!r}, which has a meaning in every entry of `blocks`")
    _note_dimensions(kind)
    BLOCKS[name] = kind
    FAMILIES["hybrid"] = dataclasses.replace(FAMILIES["hybrid"], blocks=tuple(BLOCKS))
    return kind


def register_family(name: str, family: Family) -> None:
    """After the blocks that it takes. Raises SpecError."""
    _check_name(name, "register_family", "the name of a family")
    if name in FAMILIES:
        raise SpecError("register_family", f"the family {name!r} is taken: {FAMILIES[name].title}")
    parts: dict[str, Mapping[str, type[Kind]]] = {
        "stems": STEMS,
        "downsamples": DOWNSAMPLES,
        "blocks": BLOCKS,
        "heads": HEADS,
    }
    for part, known in parts.items():
        kinds = getattr(family, part)
        for kind in [kinds] if isinstance(kinds, str) else kinds:  # a text instead of a tuple of one
            if kind not in known or isinstance(kinds, str):
                raise SpecError(f"family {name!r}: {part}", f"{show(kind)} is unknown, {did_you_mean(kind, known)}")
    FAMILIES[name] = family


def load_named() -> None:
    """The files that SLIMFORMER_BLOCKS names. What is wrong with one is said by `check`: by each command before it
    begins, and when a spec is read."""
    named = [Path(one).expanduser().absolute() for one in os.environ.get(OWN_FILES, "").split(os.pathsep) if one]
    if not named:
        return
    os.environ[OWN_FILES] = os.pathsep.join(map(str, named))  # processes that we start may run in another folder
    try:
        for path in dict.fromkeys(named):
            load(path)
    except SpecError as error:
        _failures.append(error)


def check() -> None:
    """Raises SpecError where a file of the user's own could not be loaded."""
    if _failures:
        raise _failures[0]


def load(path: Path) -> None:
    """Runs the file as a module below this one, by whose name its classes are found when they travel to processes."""
    name, shown = f"{__name__}.{path.stem}", f"{OWN_FILES}: {printable(str(path))}"
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise SpecError(shown, "is no name of a Python file, such as my_block.py")
    if not path.is_file():
        raise SpecError(shown, "there is no such file")
    if name in sys.modules:
        raise SpecError(shown, f"another file of the name {path.name} is loaded already")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a file may raise
        del sys.modules[name]
        raise SpecError(f"{OWN_FILES}: {where(path, error)}", said(error)) from error


def said(error: Exception) -> str:
    """What an error in a user's file says: ours are sentences, Python's need their name."""
    what = error.msg if isinstance(error, SyntaxError) else first_line(error)
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {what}"


def where(path: Path, error: Exception) -> str:
    """The file, and its last line that the error passed."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines.append(error.lineno)
    return printable(str(path)) + (f", line {lines[-1]}" if lines else "")


def _check_name(name: object, who: str, give: str) -> None:
    if not isinstance(name, str) or not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise SpecError(who, f"{show(name)} is not of small letters, digits and _, from a letter on: give {give}")


def _note_dimensions(kind: type[Block]) -> None:
    """Training by phases and what is known of a space go by the dimension of each elastic field."""
    for field in kind.elastic:
        if field not in kind.__struct_fields__:
            rule = did_you_mean(field, kind.__struct_fields__)
            raise SpecError(f"{kind.__name__}.elastic", f"{show(field)} is no field of this kind, {rule}")
        dimension = kind.dimensions.get(field, DIMENSION_OF.get(field))
        if dimension not in DIMENSIONS:
            rule = f"give dimensions = {{{field!r}: ...}}, with one of {', '.join(DIMENSIONS)}"
            raise SpecError(f"{kind.__name__}.elastic", f"{field!r} has the dimension {show(dimension)}: {rule}")
        if DIMENSION_OF.setdefault(field, dimension) != dimension:
            rule = f"is {DIMENSION_OF[field]!r} for all kinds of blocks; call the field otherwise"
            raise SpecError(f"{kind.__name__}.dimensions", f"the dimension of {field!r} {rule}")
