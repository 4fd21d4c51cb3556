"""Pieces of the page. What is given as words becomes text; what is given as parts is HTML already."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence

from search.results.markup import text

from .reader import Reader

TYPES = {".svg": "image/svg+xml", ".png": "image/png"}


def section(name: str, title: str, lede: str, *parts: str) -> str:
    """`lede` is a sentence or two of words."""
    head = f'<section aria-labelledby="{name}"><h2 id="{name}">{text(title)}</h2>'
    return f'{head}<p class="lede">{text(lede)}</p>{"".join(parts)}</section>'


def card(*parts: str) -> str:
    return f'<div class="card">{"".join(parts)}</div>'


def heading(words: str) -> str:
    return f"<h3>{text(words)}</h3>"


def note(words: str) -> str:
    return f'<p class="note">{text(words)}</p>'


def picture(reader: Reader, name: str, words: str, kind: str = "") -> str:
    """A picture in the page itself, with its description; empty where the file is missing. Its own styles and ids can't
    touch the page, as it is an image. On a phone, a wide one scrolls."""
    content = reader.picture(name)
    if not content:
        return ""
    data = base64.b64encode(content).decode("ascii")
    source = f"data:{TYPES[name[name.rindex('.') :]]};base64,{data}"
    image = f'<img src="{source}" alt="{text(words)}">'
    scrolls = ' tabindex="0"' if kind == "wide" else ""
    return f'<figure class="picture {kind}"{scrolls}>{image}</figure>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], label: str) -> str:
    """Of words. The first column names the row; the others are figures."""
    heads = "".join(f'<th scope="col">{text(one)}</th>' for one in head)
    lines = []
    for first, *others in rows:
        cells = "".join(f"<td>{text(one)}</td>" for one in others)
        lines.append(f'<tr><th scope="row">{text(first)}</th>{cells}</tr>')
    body = "".join(lines)
    whole = f'<table class="plain"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="scrolls card" role="region" aria-label="{text(label)}" tabindex="0">{whole}</div>'


def code(name: str, words: str) -> str:
    """To be copied: a script of the page knows the button."""
    lines = "".join(f'<span class="line">{text(line)}\n</span>' for line in words.split("\n"))
    return (
        f'<div class="code"><pre id="{name}" tabindex="0">{lines}</pre>'
        f'<button type="button" data-copies="{name}">Copy</button></div>'
    )


def link(path: str, words: str) -> str:
    """To a file beside the page."""
    from urllib.parse import quote

    return f'<a href="{quote(path)}">{text(words)}</a>'
