"""What a table keeps of one device: the device and how it was measured, as facts and as words."""

from __future__ import annotations

import json
from dataclasses import dataclass

import msgspec

from supernet.values import show

from ..devices.base import Facts
from ..protocol import Protocol


@dataclass(frozen=True)
class Collection:
    """What was measured on one device by one protocol."""

    id: int
    device: Facts
    protocol: Protocol

    def __str__(self) -> str:
        words = [str(value) for name, value in self.device.items() if name != "threads"]
        threads = self.device.get("threads")
        return ", ".join(words + ([f"{threads} thread{'s' if threads != 1 else ''}"] if threads else []))

    @property
    def with_protocol(self) -> str:
        """Also what the protocol changes of the usual one."""
        usual, ours = msgspec.to_builtins(Protocol()), msgspec.to_builtins(self.protocol)
        changed = [f"{name}={value:g}" for name, value in ours.items() if value != usual[name]]
        return ", ".join([str(self), *changed])


def read_facts(text: str) -> Facts:
    """Of a device. ValueError where it is something else."""
    facts = json.loads(text)
    if not isinstance(facts, dict) or not all(isinstance(value, str | int | float) for value in facts.values()):
        raise ValueError(f"{show(text)} is no device")
    return facts


def read_protocol(text: str) -> Protocol:
    """TypeError or ValueError where it is none."""
    return Protocol(**json.loads(text))


def answers(collection: Collection, wanted: str) -> bool:
    if wanted.isdecimal():
        return int(wanted) == collection.id
    words = collection.with_protocol.lower()
    return all(word in words for word in wanted.lower().split())
