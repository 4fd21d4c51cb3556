"""What pages for people are put together from: texts that can't become HTML, data and scripts that the page's policy
knows."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("page")
"""A template, a style, and scripts, of which other pages take those they need."""


def text(words: str) -> str:
    """Any text as HTML: what UTF-8 or HTML can't hold is shown by its number."""
    whole = words.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
    return escape(whole)


def tile(figure: str, words: str, kind: str = "") -> str:
    """A number as large as it deserves, its unit beside it, and below it what it is."""
    number, _, unit = figure.partition(" ")
    unit = f" <small>{text(unit)}</small>" if unit else ""
    return f'<li class="tile {kind}"><b>{text(number)}{unit}</b><span>{text(words)}</span></li>'


def facts(rows: Iterable[tuple[str, Any]]) -> str:
    """Names and values for a list of definitions; what is empty is left out."""
    shown = ((name.replace("_", " "), _words(value)) for name, value in rows if value not in (None, [], ""))
    return "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in shown)


def script_of(paths: Iterable[Path]) -> str:
    """All scripts, in one function of their own, so that nothing of them is global."""
    parts = [path.read_text(encoding="utf-8") for path in paths]
    return '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"


def in_script(data: Any) -> str:
    """JSON that can stand in a script element: no text in it ends the element or begins a comment."""
    plain = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return plain.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def data_in(page: str, name: str) -> Any:
    """What `in_script` put into a page's element of that name. Raises ValueError."""
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.DOTALL)
    if found is None:
        raise ValueError(f"it has no {name}")
    return json.loads(found[1])


def digest(content: str) -> str:
    """By which the page's policy knows its own script and style, and lets no other run."""
    return base64.b64encode(hashlib.sha256(content.encode("utf-8")).digest()).decode("ascii")


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
