"""The folder that travels to a phone: packages, and job.json, which says how they are to be measured."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, NamedTuple

import msgspec

import deploy.packages
from supernet.options import Options
from supernet.strict_reading import StrictReader
from supernet.values import Choice, SpecError, first_line, printable, show
from supernet.whole_files import write_whole

from ..protocol import Protocol

FORMAT = 1
RESULTS = "results.jsonl"
PHONE_PROTOCOL = Protocol(warm_up=10, burst_runs=30, burst_ms=0, idle_ms=300, sustained_runs=200, round_repeats=3)
"""Bursts as long as a phone keeps its first speed, with gaps in which it gets that back."""
_SYSTEMS = {7: "iOS16", 8: "iOS17", 9: "iOS18", 10: "iOS26"}
"""By the version of Core ML's specification; those of macOS 13, 14, 15 and 26 are the same."""


class JobItem(Options, frozen=True):
    id: str
    package: str
    """Where it lies in the folder."""
    sha256: str
    sustained: bool = False
    """Whether it is also measured without gaps, as the anchor is."""


class PhoneJob(Options, frozen=True):
    format: int
    job: str
    """The hash of all the rest: results say of which job they are."""
    compute_units: Annotated[str, Choice(("all", "cpu_and_ne", "cpu_and_gpu", "cpu_only"))]
    anchor: str | None
    protocol: Protocol
    items: tuple[JobItem, ...]

    @property
    def bursts(self) -> int:
        """About how many there will be: without repeated rounds, and with the anchor at both ends of each."""
        return self.protocol.rounds * (len(self.items) + (self.anchor is not None))


class Package(NamedTuple):
    """What is handed in: the item's id, its .mlpackage, and that one's hash."""

    id: str
    path: Path
    sha256: str
    sustained: bool = False


def target_of(package: Path) -> str | None:
    """The oldest system that it is made for. None where it does not tell."""
    try:
        with deploy.packages.model_file(package).open("rb") as file:
            field, version = file.read(2)  # a message of protobuf whose first number is the version
    except (deploy.PackageError, ValueError):
        return None
    return _SYSTEMS.get(version) if field == 8 else None


def describe_job(
    packages: Sequence[Package],
    *,
    compute_units: str = "all",
    anchor: str | None = None,
    protocol: Protocol = PHONE_PROTOCOL,
) -> PhoneJob:
    for package in packages:
        if not re.fullmatch(r"[0-9A-Za-z_-]{1,64}", package.id):
            raise SpecError("id", f"{show(package.id)} is not made of 1 to 64 letters, digits, - and _")
        if not package.path.is_dir():
            raise SpecError(printable(str(package.path)), "there is no such package")
    items = tuple(JobItem(id=p.id, package=_place(p.id), sha256=p.sha256, sustained=p.sustained) for p in packages)
    job = PhoneJob(format=FORMAT, job="", compute_units=compute_units, anchor=anchor, protocol=protocol, items=items)
    job = msgspec.structs.replace(job, job=_hash(_plain(job)))
    _check(job)
    return job


def write_job(folder: Path, packages: Iterable[Package], **settings: Any) -> PhoneJob:
    """As `describe_job` says. The same again changes nothing; results of another job in this folder are a SpecError."""
    packages = list(packages)
    job = describe_job(packages, **settings)
    if (folder / RESULTS).exists() and ((folder / "job.json").exists() and read_job(folder).job != job.job):
        raise SpecError(printable(str(folder)), "holds results of another job: choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    for package in packages:
        target = folder / _place(package.id)
        if target.exists():
            shutil.rmtree(target)
        shutil.copytree(package.path, target, copy_function=_link)
    write_whole(folder / "job.json", (json.dumps(_plain(job), indent=1) + "\n").encode())
    return job


def read_job(folder: Path) -> PhoneJob:
    """SpecError where it is none, or was changed since it was written."""
    path = folder / "job.json"
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        job = StrictReader().read(PhoneJob, written)
        _check(job)
        if job.job != _hash(written):  # not of `job`: a later version may know more fields than were written
            raise SpecError("job", "its hash is another one: the file was changed after it was written")
    except SpecError as error:
        raise SpecError(printable(str(path)), str(error)) from None
    except OSError as error:
        raise SpecError(printable(str(path)), f"can't be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise SpecError(printable(str(path)), f"is not JSON: {first_line(error)}") from None
    return job


def _check(job: PhoneJob) -> None:
    if job.format != FORMAT:
        raise SpecError("format", f"{job.format} is not {FORMAT}, which this version reads")
    if not job.items:
        raise SpecError("items", "there are none")
    ids = [item.id for item in job.items]
    if len(set(ids)) < len(ids):
        raise SpecError("items", "an id is there twice")
    if job.anchor is not None and job.anchor not in ids:
        raise SpecError("anchor", f"{show(job.anchor)} is not among the items")
    for index, item in enumerate(job.items):
        if not is_inside(item.package):
            raise SpecError(f"items[{index}].package", f"{show(item.package)} leads out of the folder")


def is_inside(path: str) -> bool:
    """Whether a relative path stays inside the folder it starts from."""
    pure = PurePosixPath(path)
    return bool(pure.parts) and not pure.is_absolute() and ".." not in pure.parts and not set(path) & set("\0\\")


def _place(id_: str) -> str:
    return f"packages/{id_}.mlpackage"


def _plain(options: Options) -> dict[str, Any]:
    """All fields: the phone knows no defaults."""
    return {
        name: _plain(value)
        if isinstance(value, Options)
        else [_plain(item) for item in value]
        if isinstance(value, tuple)
        else value
        for name in options.__struct_fields__
        for value in (getattr(options, name),)
    }


def _hash(fields: Mapping[str, Any]) -> str:
    others = {name: value for name, value in fields.items() if name != "job"}
    return hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()


def _link(source: str, target: str) -> str:
    """Packages are large: the same file under two names, where the file system can."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return target
