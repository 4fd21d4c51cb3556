"""Published latencies of whole networks on iPhones, and the work of these networks: what the estimate is fitted to.

`published.json` holds them. Latencies, devices and sources were collected by hand from papers, repositories and issues;
the work of each network was computed here (`python -m latency_lut.estimate.regenerate`).
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

import msgspec

from supernet import SpecError
from supernet.values import show

from .devices import CHIP_OF
from .features import Features, Sums

FILE = Path(__file__).parent / "published.json"


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who published figures, how they were measured, and how the figures were read where they stand in a picture."""

    reference: str
    tool: str
    system: str | None = None
    units: str | None = None
    note: str | None = None


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A network whose latency was published. `make` says what makes its twin here: timm, or our spec of that name.
    `part` is the method that was run; `sums` are the fields of `Sums`, in order, by kind of operator."""

    family: str
    model: str
    resolution: int
    part: str = "forward"
    make: str = "timm"
    params: int = 0
    sums: dict[str, list[int]] = {}

    @property
    def features(self) -> Features:
        return Features(self.params, {kind: Sums(*row) for kind, row in self.sums.items()})


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One published figure. `number` is its place in the collection it was taken from."""

    number: int
    network: str
    ms: float
    device: str
    source: str
    read: str | None = None
    note: str | None = None


class Published(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sources: dict[str, Source]
    networks: dict[str, Measured]
    records: tuple[Record, ...]

    def __post_init__(self) -> None:
        for record in self.records:
            for name, is_fine in (
                ("source", record.source in self.sources),
                ("network", record.network in self.networks),
                ("device", record.device in CHIP_OF),
                ("ms", record.ms > 0),
            ):
                if not is_fine:
                    rule = "is not above 0" if name == "ms" else "is not described"
                    raise SpecError(f"records.{record.number}.{name}", f"{show(getattr(record, name))} {rule}")

    def family_of(self, record: Record) -> str:
        return self.networks[record.network].family


@functools.cache
def published() -> Published:
    return read(FILE)


def read(path: Path) -> Published:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Published)
    except OSError as error:
        raise SpecError(str(path), f"can't be read: {error.strerror}") from None
    except msgspec.ValidationError as error:
        raise SpecError(str(path), str(error)) from None


def text(data: Published) -> str:
    """JSON with one line for each source, network and record, so that changes can be read."""
    plain = msgspec.to_builtins(data)
    blocks = []
    for name in ("sources", "networks"):
        lines = (f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in plain[name].items())
        blocks.append(f' "{name}": {{\n' + ",\n".join(lines) + "\n }")
    blocks.append(' "records": [\n' + ",\n".join(f"  {json.dumps(record)}" for record in plain["records"]) + "\n ]")
    return "{\n" + ",\n".join(blocks) + "\n}\n"
