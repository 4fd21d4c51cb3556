"""Values a user gives: their limits, the one form each of them has, and the one kind of error a user sees."""

from __future__ import annotations

import difflib
import math
import numbers
import operator
import re
import types
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import numpy as np


class UserError(Exception):
    """What a user can mend. Its text is one line that says what would be right; commands print it and end."""


class SpecError(UserError, ValueError):
    """What a user wrote can't be: `path` says where, the message says the value and what would be right."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message

    def __reduce__(self) -> tuple[type[SpecError], tuple[str, str]]:
        return SpecError, (self.path, self.message)  # errors travel between processes

    def under(self, prefix: str) -> SpecError:
        """The same error, seen from the struct that holds the one it was found in."""
        joint = "" if not self.path or self.path.startswith("[") else "."
        return SpecError(f"{prefix}{joint}{self.path}", self.message)


@dataclass(frozen=True)
class Limit:
    """Lowest and highest value of a number; both are allowed."""

    low: float
    high: float
    odd: bool = False

    def __str__(self) -> str:
        kind = "an odd number" if self.odd else "a number"
        return f"{kind} from {self.low:,g} to {self.high:,.12g}"

    def allows(self, value: float) -> bool:
        return self.low <= value <= self.high and not (self.odd and value % 2 == 0)


@dataclass(frozen=True)
class Choice:
    """The allowed strings."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return "one of " + ", ".join(self.names)

    def allows(self, value: str) -> bool:
        return value in self.names


OWN_FILES = "SLIMFORMER_BLOCKS"
"""The environment variable that names a user's own files: see own_blocks.py."""
Named = TypeVar("Named")


class Registry(dict[str, Named]):
    """Things by name, to which a user's own files may add: a name that is unknown may be one of theirs."""


_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", types.NoneType: "nothing"}


def conform(hint: Any, value: Any, path: str) -> Any:
    """The value in the one form its type has (numpy's numbers and lists are welcome), or a SpecError."""
    if get_origin(hint) is Annotated:
        inner, *rules = get_args(hint)
        conformed = conform(inner, value, path)
        for rule in rules:
            if not rule.allows(conformed):
                raise SpecError(path, f"{show(value)} is not {rule}")
        return conformed
    parts = get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        if value is None and types.NoneType in parts:
            return None
        wants_tuple = isinstance(value, tuple | list)
        fitting = [p for p in parts if p is not types.NoneType and (get_origin(p) is tuple) == wants_tuple]
        if len(fitting) == 1 and (wants_tuple or isinstance(value, _plain(fitting[0]))):
            return conform(fitting[0], value, path)
    elif get_origin(hint) is tuple and isinstance(value, tuple | list):
        item_hints = [parts[0]] * len(value) if parts[-1] is Ellipsis else list(parts)
        if len(item_hints) == len(value):
            items = tuple(conform(h, v, f"{path}[{i}]") for i, (h, v) in enumerate(zip(item_hints, value, strict=True)))
            same = isinstance(value, tuple) and all(map(operator.is_, items, value))
            return value if same else items
    elif hint is int and isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    elif hint is float and isinstance(value, numbers.Real) and not isinstance(value, bool) and _is_finite(value):
        return float(value)
    elif hint is str and isinstance(value, str):
        return str.__str__(value)
    elif hint is bool and isinstance(value, bool | np.bool_):
        return bool(value)
    elif hint not in (int, float, str, bool) and isinstance(hint, type) and isinstance(value, hint):
        return value
    raise SpecError(path, f"{show(value)} can't stand here: expected {_in_words(hint)}")


def _is_finite(value: numbers.Real) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def _plain(hint: Any) -> Any:
    """What Python types stand for a type in a union."""
    inner = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return {int: numbers.Real, float: numbers.Real}.get(inner, inner)


def _in_words(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        return _in_words(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(map(_in_words, get_args(hint)))
    if get_origin(hint) is tuple:
        parts = get_args(hint)
        return "a list" if parts[-1] is Ellipsis else f"a list of {len(parts)}"
    return _WORDS.get(hint, f"a {hint.__name__}, which has fields" if isinstance(hint, type) else str(hint))


def show(value: object) -> str:
    """A value in an error: short, on one line, and printable whatever it is."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**30:
        return f"a number of {value.bit_length()} bits"
    text = repr(value).encode("utf-8", "backslashreplace").decode("utf-8").replace("\n", " ")
    return text if len(text) <= 60 else text[:57] + "..."


def printable(text: str) -> str:
    """A name from a user or a file, on one line whatever it is."""
    return text if text.isprintable() and len(text) <= 300 else show(text)


def first_line(error: BaseException) -> str:
    """What somebody else's error says, fit to be part of a sentence of ours."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip().splitlines()
    return "".join(letter for letter in lines[0] if letter.isprintable())[:200] if lines else type(error).__name__


def counted(number: int, thing: str) -> str:
    """`1 network`, `2,000 networks`."""
    return f"{number:,} {thing}{'s' * (number != 1)}"


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """The end of an error about an unknown name: the nearest known one, or all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(str(name)[:100], names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    listed = "known are " + ", ".join(names) if names else "there are none"
    own = f"; your own come from the files that {OWN_FILES} names"
    return listed + own if isinstance(known, Registry) else listed
