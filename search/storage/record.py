"""What is kept of a network: one JSON attribute of one trial."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np

from supernet.values import first_line

from .owner import Owner
from .patience import StorageError

ATTRIBUTE = "network"


class Evaluation(NamedTuple):
    """A network that was evaluated."""

    accuracy: float
    seconds: float
    values: tuple[float, ...]
    """Of the objectives, as they were given."""
    number: int
    """Of the trial."""
    images: int
    worker: str
    asked_by: str


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """While a network is being evaluated, it is its claim."""

    code: tuple[Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)], ...]
    problem: str
    """Short form of what the study's accuracies depend on."""
    owner: Owner
    asked_by: str = ""
    accuracy: float | None = None
    seconds: float = 0.0
    images: int = 0
    worker: str = ""

    @property
    def key(self) -> bytes:
        return np.array(self.code, dtype=np.int32).tobytes()

    def attribute(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def read_record(attribute: object, number: int, name: str) -> Record:
    try:
        return msgspec.convert(attribute, Record)
    except (msgspec.ValidationError, UnicodeError) as error:
        raise StorageError(f"storage: trial {number} of {name} can't be read: {first_line(error)}") from None
