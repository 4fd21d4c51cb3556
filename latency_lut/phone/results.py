"""What a phone measured: from the lines of results.jsonl to figures by item. What came twice counts once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from supernet.values import SpecError, printable, show

from .job import FORMAT, RESULTS, read_job

Milliseconds = Annotated[float, msgspec.Meta(ge=0, le=1e8)]
Number = Annotated[int, msgspec.Meta(ge=0, le=10**9)]


class Event(msgspec.Struct, frozen=True):
    """A line of the file; `event` says which kind it is."""


class DeviceEvent(Event, tag_field="event", tag="device", frozen=True):
    model: str
    os: str
    cores: int
    memory_bytes: int
    app: str
    format: int
    job: str
    time: str


class BeginEvent(Event, tag_field="event", tag="begin", frozen=True):
    id: str


class PlacementEvent(Event, tag_field="event", tag="placement", frozen=True):
    """Numbers of operations by the device they prefer (neural_engine, gpu, cpu, unknown), and estimated shares of the
    cost."""

    id: str
    operations: dict[str, int]
    cost: dict[str, float]


class Measured(Event, tag_field="event", frozen=True):
    id: str
    samples_ms: Annotated[tuple[Milliseconds, ...], msgspec.Meta(min_length=1)]
    compile_ms: Milliseconds
    load_ms: Milliseconds
    thermal_before: str
    thermal_after: str
    low_power: bool
    interrupted: bool
    counts: bool


class BurstEvent(Measured, tag="burst", kw_only=True, frozen=True):
    round: Number
    attempt: Number
    place: int | None = None
    """For the anchor: which of its bursts of the attempt."""


class SustainedEvent(Measured, tag="sustained", frozen=True):
    pass


class RoundEvent(Event, tag_field="event", tag="round", kw_only=True, frozen=True):
    round: Number
    attempt: Number
    anchor_ms: tuple[Milliseconds, ...] = ()
    accepted: bool
    drifted: bool


class FailedEvent(Event, tag_field="event", tag="failed", frozen=True):
    id: str
    reason: str


class WaitingEvent(Event, tag_field="event", tag="waiting", frozen=True):
    reason: str


class StoppedEvent(Event, tag_field="event", tag="stopped", frozen=True):
    reason: str


class FinishedEvent(Event, tag_field="event", tag="finished", frozen=True):
    pass


AnyEvent = (
    DeviceEvent
    | BeginEvent
    | PlacementEvent
    | BurstEvent
    | SustainedEvent
    | RoundEvent
    | FailedEvent
    | WaitingEvent
    | StoppedEvent
    | FinishedEvent
)
_DECODER = msgspec.json.Decoder(AnyEvent)


class RoundKey(NamedTuple):
    round: int
    attempt: int


@dataclass
class ItemResults:
    """`bursts` are those of accepted rounds, in the order of the file; the anchor has several in each."""

    bursts: list[BurstEvent] = field(default_factory=list)
    sustained: SustainedEvent | None = None
    placement: PlacementEvent | None = None
    failed: str | None = None


@dataclass
class PhoneResults:
    device: DeviceEvent
    """Of the last start; model and system are those of all."""
    items: dict[str, ItemResults]
    rounds: dict[int, RoundEvent]
    """The accepted attempt of each round; `drifted` where none was without drift."""
    measured: int
    """Bursts that count, also those of rounds that are under way or were repeated."""
    last: AnyEvent
    skipped: int
    """Lines that were no event: torn by a crash, or damaged."""
    starts: dict[tuple[object, ...], str]
    """By `_key` of what was measured, when the app was started that measured it."""

    def started(self, event: Measured) -> str:
        return self.starts[_key(event)]

    @property
    def is_finished(self) -> bool:
        return isinstance(self.last, FinishedEvent)

    @property
    def stopped(self) -> str | None:
        return self.last.reason if isinstance(self.last, StoppedEvent) else None


def read_results(path: Path, job: str | None = None) -> PhoneResults:
    """Of a job's folder, or of a file of results whose job is named. SpecError where they belong to another job, are of
    more than one phone, or are none."""
    if path.is_dir():
        job, path = read_job(path).job, path / RESULTS
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SpecError(printable(str(path)), f"can't be read: {error.strerror}") from None
    try:
        return parse_results(content, job)
    except SpecError as error:
        raise SpecError(printable(str(path)), str(error)) from None


def parse_results(content: bytes, job: str | None = None) -> PhoneResults:
    lines = whole_lines(content)
    events = [event for line in lines if (event := _event(line)) is not None]
    devices = [event for event in events if isinstance(event, DeviceEvent)]
    if not devices:
        raise SpecError("", "holds no results of a phone")
    _check_devices(devices, job)
    accepted: dict[int, RoundEvent] = {}
    for event in _once(events):
        if isinstance(event, RoundEvent) and event.accepted:
            accepted.setdefault(event.round, event)
    items: dict[str, ItemResults] = {}
    measured = 0
    for event in _once(events):
        if isinstance(event, BurstEvent):
            measured += 1
            kept = accepted.get(event.round)
            if kept is not None and kept.attempt == event.attempt:
                items.setdefault(event.id, ItemResults()).bursts.append(event)
        elif isinstance(event, SustainedEvent):
            items.setdefault(event.id, ItemResults()).sustained = event
        elif isinstance(event, PlacementEvent):
            items.setdefault(event.id, ItemResults()).placement = event
        elif isinstance(event, FailedEvent):
            items.setdefault(event.id, ItemResults()).failed = event.reason
    skipped = sum(1 for line in lines if line.strip()) - len(events)
    return PhoneResults(devices[-1], items, accepted, measured, events[-1], skipped, _starts(events))


def _starts(events: list[AnyEvent]) -> dict[tuple[object, ...], str]:
    starts: dict[tuple[object, ...], str] = {}
    time = ""
    for event in events:
        if isinstance(event, DeviceEvent):
            time = event.time
        elif isinstance(event, Measured) and event.counts:
            starts.setdefault(_key(event), time)
    return starts


def merge(old: bytes, new: bytes) -> bytes:
    """The lines of both, each once, such as after the app was deleted from the phone. A torn last line is left out."""
    first, second = (b"".join(whole_lines(content)) for content in (old, new))
    if second.startswith(first):
        return second
    known = set(whole_lines(first))
    return first + b"".join(line for line in whole_lines(second) if line not in known)


def whole_lines(content: bytes) -> list[bytes]:
    lines = content.splitlines(keepends=True)
    return lines if not lines or lines[-1].endswith(b"\n") else lines[:-1]


def _event(line: bytes) -> AnyEvent | None:
    try:
        return _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _check_devices(devices: list[DeviceEvent], job: str | None) -> None:
    for device in devices:
        if job is not None and device.job != job:
            raise SpecError("", f"belongs to another job ({show(device.job[:12])}, not {job[:12]}...)")
        if device.format != FORMAT:
            raise SpecError("", f"format {device.format} is not {FORMAT}, which this version reads")
    kinds = sorted({f"{device.model} with {device.os}" for device in devices})
    if len(kinds) > 1:
        raise SpecError("", f"holds figures of {printable(' and of '.join(kinds))}, which can't be mixed")


def _once(events: list[AnyEvent]) -> Iterator[AnyEvent]:
    """Measurements that count, the first of each: a copy that came back twice, or two that overlap, double nothing."""
    seen = set()
    for event in events:
        if isinstance(event, Measured) and not event.counts:
            continue
        key = _key(event)
        if key and key not in seen:
            seen.add(key)
            yield event


def _key(event: Event) -> tuple[object, ...]:
    """Equal for lines that say the same; empty for those of which each counts, or none."""
    if isinstance(event, BurstEvent):
        return ("burst", event.id, event.round, event.attempt, event.place)
    if isinstance(event, RoundEvent):
        return ("round", event.round, event.attempt)
    if isinstance(event, SustainedEvent | PlacementEvent | FailedEvent):
        return (type(event).__name__, event.id)
    return ()
