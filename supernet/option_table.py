"""The table of all options of a run or a search, from their types and docstrings: the last part of their manuals."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from .options import Kind, Options, field_hints
from .strict_reading import options_in
from .values import Choice, Limit

Kinds = Mapping[type[Kind], Mapping[str, type[Kind]]]
_WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false"}


def option_table(
    options: type[Options], title: str, kinds: Kinds | None = None, elsewhere: Mapping[type[Options], str] | None = None
) -> str:
    """Markdown: a table for each group of options, under the name that stands before its fields in `--set`. `kinds`
    are the alternatives of a tagged base; the groups `elsewhere` have their tables in the manual named there."""
    parts, elsewhere = [], elsewhere or {}
    for place, cls in _groups(options, "", kinds or {}):
        if cls in elsewhere:
            continue
        intro = inspect.cleandoc(cls.__doc__ or "").replace("\n", " ")
        tag = f" of kind `{cls.kind_name()}`" if issubclass(cls, Kind) else ""
        lines = [f"### {f'`{place}`{tag}' if place else title}", *(["", intro] if intro else [])]
        rows = [_row(cls, name, place, elsewhere) for name in cls.__struct_fields__]
        head = ["", "| option | value | default | meaning |", "|---|---|---|---|"] if rows else []
        parts.append("\n".join([*lines, *head, *rows]))
    return "\n\n".join(parts) + "\n"


def _groups(cls: type[Options], place: str, kinds: Kinds) -> Iterator[tuple[str, type[Options]]]:
    yield place, cls
    for name, hint in field_hints(cls):
        inner = options_in(hint)
        if inner is None:
            continue
        below = f"{place}.{name}".strip(".") + ("[]" if get_origin(hint) is tuple else "")
        alternatives = list(kinds[inner].values()) if issubclass(inner, Kind) and inner in kinds else [inner]
        for one in alternatives:
            yield from _groups(one, below, kinds)


def _row(cls: type[Options], name: str, place: str, elsewhere: Mapping[type[Options], str]) -> str:
    field = next(field for field in msgspec.structs.fields(cls) if field.name == name)
    hint = dict(field_hints(cls))[name]
    inner = options_in(hint)
    if inner is not None:
        many = get_origin(hint) is tuple
        where = f"in [{elsewhere[inner]}]({elsewhere[inner]})" if inner in elsewhere else "below"
        value = (
            f"{'a list of these: ' if many else ''}see `{f'{place}.{name}'.strip('.')}{'[]' if many else ''}` {where}"
        )
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
        return f"[{', '.join(item if isinstance(item, str) else f'{item:g}' for item in value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value) or "empty"


def _docstrings(cls: type[Options]) -> dict[str, str]:
    """The text that stands below each field, those of the classes it is made from included."""
    inherited = [base for base in cls.__mro__[1:] if issubclass(base, Options) and base not in (Options, Kind)]
    found: dict[str, str] = {}
    for one in (*reversed(inherited), cls):
        found |= _own_docstrings(one)
    return found


def _own_docstrings(cls: type[Options]) -> dict[str, str]:
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            assert isinstance(field.target, ast.Name)
            found[field.target.id] = " ".join(str(text.value.value).split())
    return found
