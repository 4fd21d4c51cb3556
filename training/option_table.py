"""The table of all options of a run, from their types and docstrings: the last part of docs/training.md.

python -m training.option_table
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from supernet.options import Options, field_hints
from supernet.strict_reading import options_in
from supernet.values import Choice, Limit

from .config import RunConfig

_WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false"}


def option_table() -> str:
    """Markdown: a table for each group of options, under the name that stands before its fields in `--set`."""
    parts = []
    for place, cls in _groups(RunConfig, ""):
        intro = inspect.cleandoc(cls.__doc__ or "").replace("\n", " ")
        rows = [_row(cls, name, place) for name in cls.__struct_fields__]
        lines = [f"### {f'`{place}`' if place else 'The run'}", "", *([intro, ""] if intro else [])]
        parts.append("\n".join([*lines, "| option | value | default | meaning |", "|---|---|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def _groups(cls: type[Options], place: str) -> Iterator[tuple[str, type[Options]]]:
    yield place, cls
    for name, hint in field_hints(cls):
        inner = options_in(hint)
        if inner is not None:
            yield from _groups(inner, f"{place}.{name}".strip(".") + ("[]" if get_origin(hint) is tuple else ""))


def _row(cls: type[Options], name: str, place: str) -> str:
    field = next(field for field in msgspec.structs.fields(cls) if field.name == name)
    hint = dict(field_hints(cls))[name]
    inner = options_in(hint)
    if inner is not None:
        many = get_origin(hint) is tuple
        value = f"{'a list of these: ' if many else ''}see `{f'{place}.{name}'.strip('.')}{'[]' if many else ''}` below"
    else:
        value = _value(hint)
    meaning = _docstrings(cls).get(name, "")
    return f"| `{name}` | {value} | {_default(field)} | {meaning} |".replace("|  |", "| |")


def _value(hint: Any) -> str:
    parts = get_args(hint)
    if get_origin(hint) is Annotated:
        (rule,) = parts[1:]
        if isinstance(rule, Choice):
            return ", ".join(f"`{name}`" for name in rule.names)
        assert isinstance(rule, Limit)
        high = "10^9" if rule.high == 10**9 else f"{rule.high:,.12g}"  # which stands for no limit of our own
        return f"{_WORDS[parts[0]]}, {rule.low:g} to {high}"
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join("null" if part is types.NoneType else _value(part) for part in parts)
    if get_origin(hint) is tuple:
        if parts[-1] is Ellipsis:
            return f"list of {_value(parts[0])}"
        return f"[{'; '.join(map(_value, parts))}]" if len(set(parts)) > 1 else f"{len(parts)} x {_value(parts[0])}"
    return _WORDS[hint]


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "must be given"
    value = field.default
    if isinstance(value, Options):
        return ""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, tuple):
        return f"[{', '.join(f'{item:g}' for item in value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value) or "empty"


def _docstrings(cls: type[Options]) -> dict[str, str]:
    """The text that stands below each field."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            assert isinstance(field.target, ast.Name)
            found[field.target.id] = " ".join(str(text.value.value).split())
    return found


if __name__ == "__main__":
    print(option_table(), end="")
