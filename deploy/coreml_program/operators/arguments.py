"""What an operation was given, by the names that the specification of ML programs uses."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from supernet.values import show

from ...errors import PackageError
from ..program import Value


class Arguments:
    def __init__(self, given: dict[str, list[Value]]) -> None:
        self._given = given

    def has(self, name: str) -> bool:
        return name in self._given

    def tensor(self, name: str) -> Tensor:
        value = self._single(name)
        if not isinstance(value, Tensor):
            raise PackageError(f"its {name} is the text {show(value)}, not numbers")
        return value

    def words(self, name: str) -> tuple[str, ...]:
        value = self._single(name)
        if not isinstance(value, tuple):
            raise PackageError(f"its {name} is no list of texts")
        return value

    def optional(self, name: str) -> Tensor | None:
        return self.tensor(name) if self.has(name) else None

    def ints(self, name: str, default: list[int] | None = None) -> list[int]:
        if default is not None and not self.has(name):
            return default
        return [int(value) for value in self.tensor(name).flatten().tolist()]

    def number(self, name: str, default: float | None = None) -> float:
        if default is not None and not self.has(name):
            return default
        return float(self.tensor(name).item())

    def integer(self, name: str, default: int | None = None) -> int:
        return int(self.number(name, default))

    def flag(self, name: str, default: bool = False) -> bool:
        return bool(self.number(name, default))

    def word(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """An option that is a text, of those that are understood here."""
        value = self._single(name) if self.has(name) else default
        if not isinstance(value, str) or value not in allowed:
            raise PackageError(f"its {name} is {show(value)}; understood is {', '.join(allowed)}")
        return value

    def _single(self, name: str) -> Value:
        values = self._given.get(name, [])
        if len(values) != 1:
            raise PackageError(f"it has {len(values)} values as its {name}, not one")
        return values[0]


Operator = Callable[[Arguments], Tensor | list[Tensor]]
