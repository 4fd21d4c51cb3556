"""YAML as we read and write it: plain data only, `1e-3` is a number, a key stands once, short things on one line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from .values import SpecError, show

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_VALUES = 30_000
"""More than the largest network has, written without `repeat`; PyYAML takes a second for so many."""


class _Loader(yaml.SafeLoader):
    """Of YAML, what a spec needs: no tags, no aliases, and of YAML 1.1's words and numbers those everybody expects."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        mark: Any = event.start_mark
        if isinstance(event, yaml.AliasEvent):  # could make a small file huge
            raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=mark)
        if getattr(event, "tag", None):
            raise yaml.MarkedYAMLError(problem="tags such as !!int are not allowed", problem_mark=mark)
        self.depth = getattr(self, "depth", 0) + 1
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=mark)
        self.values = getattr(self, "values", 0) + 1
        if self.values > MAX_VALUES:
            raise yaml.MarkedYAMLError(problem=f"more than {MAX_VALUES:,} values", problem_mark=mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise yaml.MarkedYAMLError(problem=f"{show(name)} stands here twice", problem_mark=key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep=deep)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


# YAML 1.1, which PyYAML follows by default, reads 1e-3 as a string, 010 as eight and 1:30 as ninety.
_SCALARS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    "float": (
        r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+|[-+]?\.inf|\.nan",
        list("-+0123456789."),
    ),
}
for _tool in (_Loader, _Dumper):
    _tool.yaml_implicit_resolvers = {}
    for _type, (_pattern, _first) in _SCALARS.items():
        _tool.add_implicit_resolver(f"tag:yaml.org,2002:{_type}", re.compile(f"(?:{_pattern})$"), _first)


def _represent_float(dumper: _Dumper, value: float) -> yaml.ScalarNode:
    if value == int(value) and abs(value) < 1e15:
        return dumper.represent_scalar("tag:yaml.org,2002:int", str(int(value)))
    text = re.sub(r"e([-+])0*", lambda found: "e" + found[1].replace("+", ""), repr(value))
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


_Dumper.add_representer(float, _represent_float)


def read_yaml(path: Path) -> Any:
    """The plain data in a file. Raises SpecError, in one line, for what is no YAML or can't be read."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise SpecError("", f"a spec can't have more than {MAX_BYTES:,} bytes")
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError("", f"byte {error.start} is not UTF-8 text") from None
    except IsADirectoryError:
        raise SpecError("", "is a directory, not a file") from None
    except OSError as error:
        raise SpecError("", f"can't be read: {error.strerror}") from None
    return parse_yaml(text)


def parse_yaml(text: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  a subclass of SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise SpecError("", f"{where}not valid YAML: {_one_line(error.problem or error.context)}") from None
    except (yaml.YAMLError, ValueError, OverflowError, TypeError, RecursionError) as error:
        raise SpecError("", f"not valid YAML: {_one_line(error)}") from None


def write_yaml(data: Any) -> str:
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=200, allow_unicode=True)


def _one_line(message: object) -> str:
    return " ".join(str(message).encode("utf-8", "backslashreplace").decode("utf-8").split())[:300]
