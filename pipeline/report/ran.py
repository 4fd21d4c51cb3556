"""What was run: every stage with its commands and how long it took, and on what."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from search.results.findings import duration
from search.results.markup import facts, text

from .found import Found
from .markup import card, code, heading, section
from .reader import Reader, number


def stages(reader: Reader) -> list[dict[str, Any]]:
    """In their order."""
    folder = reader.folder / "stages"
    names = sorted(path.name for path in folder.glob("*.json")) if folder.is_dir() else []
    found = [stage for name in names if (stage := reader.json(f"stages/{name}"))]
    return sorted(found, key=lambda stage: number(stage, "number") or 0)


def status(reader: Reader) -> str:
    """Of all stages, in a line."""
    found = stages(reader)
    if not found:
        return "No stage was run yet."
    seconds = sum(number(stage, "seconds") or 0 for stage in found)
    words = f"{len(found)} stages in {duration(seconds)}"
    open_ = [str(stage.get("name")) for stage in found if not stage.get("finished")]
    if open_:
        words += f" · not finished: {', '.join(open_)}"
    ends = [end for stage in found if (end := _moment(stage.get("finished")))]
    return f"{words} · {max(ends):%-d %B %Y, %H:%M}" if ends else words


def ran(found: Found) -> str:
    reader = found.reader
    parts = [_stages(stages(reader))]
    config, machine = reader.text("config.yaml"), _environment(reader)
    again = [heading("The config"), code("config", config.strip())] if config.strip() else []
    if machine:
        again += [heading("The machine and its versions"), f'<dl class="versions">{facts(machine.items())}</dl>']
    parts.append(card(*again) if again else "")
    if not any(parts):
        return ""
    lede = "Each stage is a command that can be typed alone. The same config in the same folder repeats nothing."
    return section("ran", "What was run", lede, *parts)


def _environment(reader: Reader) -> dict[str, Any]:
    """Of the pipeline; else of the run that ended with the network, or of one before."""
    for folder in ("", "networks/best/", "search/", "supernet/"):
        if found := reader.json(f"{folder}environment.json"):
            return found
    return {}


def _stages(found: list[dict[str, Any]]) -> str:
    if not found:
        return ""
    total = sum(number(stage, "seconds") or 0 for stage in found) or 1.0
    items = "".join(_stage(at, stage, total) for at, stage in enumerate(found, start=1))
    return f'<ol class="stages">{items}</ol>'


def _stage(at: int, stage: dict[str, Any], total: float) -> str:
    seconds = number(stage, "seconds") or 0.0
    share = 100 * seconds / total
    state = duration(seconds) if stage.get("finished") else f"not finished, {duration(seconds)} so far"
    bar = (
        '<svg class="share" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="of-all" width="100" height="4"/><rect class="of-this" width="{share:.2f}" height="4"/></svg>'
    )
    commands = stage.get("commands")
    lines = [str(one) for one in commands] if isinstance(commands, list) else []
    shown = code(f"commands-{at}", "\n".join(lines)) if lines else ""
    title = str(stage.get("title") or stage.get("name") or "")
    head = f"<div><h3>{text(str(stage.get('name') or ''))}</h3><span>{text(state)}</span></div>"
    return f'<li class="card">{head}<p class="note">{text(title)}</p>{bar}{shown}</li>'


def _moment(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        return None
