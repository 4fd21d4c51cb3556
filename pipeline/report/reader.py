"""Files of a folder as far as they are there. What is there and can't be read is remembered, not raised: a page that
shows the rest and says what is damaged is worth more than none."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from supernet import NetSpec, load_spec
from supernet.plain_yaml import read_yaml
from supernet.values import UserError, first_line, printable

LARGEST_PICTURE = 4_000_000
"""Bytes: the page holds all of its pictures."""


class Reader:
    """Paths are relative to `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trouble: list[str] = []

    def blame(self, name: str, error: Exception) -> None:
        self.trouble.append(f"{printable(name)} can't be read: {first_line(error)}")

    def text(self, name: str) -> str:
        """Empty where there is none."""
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except (OSError, UnicodeError) as error:
            self.blame(name, error)
            return ""

    def json(self, name: str) -> dict[str, Any]:
        """An object, whatever follows it; an empty one where there is none."""
        text = self.text(name)
        if not text.strip():
            return {}
        try:
            found, _ = json.JSONDecoder().raw_decode(text.lstrip())
            if not isinstance(found, dict):
                raise ValueError("it is no JSON object")
        except (ValueError, RecursionError) as error:
            self.blame(name, error)
            return {}
        return found

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Of a log, whose last line may be half written."""
        found = []
        for line in self.text(name).splitlines():
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict):
                found.append(record)
        return found

    def table(self, name: str) -> list[dict[str, str]]:
        try:
            rows = list(csv.DictReader(io.StringIO(self.text(name))))
        except csv.Error as error:
            self.blame(name, error)
            return []
        return [{str(key): str(value or "") for key, value in row.items()} for row in rows]

    def yaml(self, name: str) -> dict[str, Any]:
        if not (self.folder / name).is_file():
            return {}
        try:
            found = read_yaml(self.folder / name)
        except UserError as error:
            self.blame(name, error)
            return {}
        return found if isinstance(found, dict) else {}

    def spec(self, name: str) -> NetSpec | None:
        if not (self.folder / name).is_file():
            return None
        try:
            return load_spec(self.folder / name)
        except UserError as error:
            self.blame(name, error)
            return None

    def picture(self, name: str) -> bytes:
        """Empty where there is none, and where it is too large for a page."""
        path = self.folder / name
        try:
            return path.read_bytes() if path.is_file() and path.stat().st_size <= LARGEST_PICTURE else b""
        except OSError as error:
            self.blame(name, error)
            return b""

    def folders(self, name: str) -> list[Path]:
        """Those in a folder, by name."""
        folder = self.folder / name
        return sorted(one for one in folder.iterdir() if one.is_dir()) if folder.is_dir() else []


def number(found: Mapping[str, Any], name: str) -> float | None:
    """A finite number, or nothing."""
    value = found.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # a whole number of any length
        return None
