"""YAML as we read and write it: safe, `1e-3` is a number, a key may stand once, what is short stands on one line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from .options import SpecError

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?$|[-+]?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?$"
)


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: Any, index: Any) -> Any:
        # An alias could make a small file huge, and no spec needs one.
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=mark)
        self.depth = getattr(self, "depth", 0) + 1
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=self.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise yaml.MarkedYAMLError(problem=f"{name!r} stands here twice", problem_mark=key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep=deep)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


# PyYAML follows YAML 1.1, which reads 1e-3 as a string.
for _tool in (_Loader, _Dumper):
    _tool.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))


def _represent_float(dumper: _Dumper, value: float) -> yaml.ScalarNode:
    if value == int(value) and abs(value) < 1e15:
        return dumper.represent_scalar("tag:yaml.org,2002:int", str(int(value)))
    text = re.sub(r"e([-+])0*", lambda found: "e" + found[1].replace("+", ""), repr(value))
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


_Dumper.add_representer(float, _represent_float)


def read_yaml(path: Path) -> Any:
    """The plain data in a file. Raises SpecError, in one line, for what is no YAML or can't be read."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise SpecError("", f"{size:,} bytes is more than a spec can have ({MAX_BYTES:,})")
        text = path.read_text(encoding="utf-8")
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
    return " ".join(str(message).split())
