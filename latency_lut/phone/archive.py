"""A job as one file, to carry to a Mac or to a phone, and the results that somebody carried back."""

from __future__ import annotations

import contextlib
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import deploy
from deploy.files import whole_folder, writing
from supernet.values import SpecError, first_line, printable, show
from supernet.whole_files import whole_file, write_whole

from .job import RESULTS, is_inside, read_job
from .results import merge, parse_results

LARGEST_RESULTS = 2**30
LARGEST_GROWTH = 100
"""Times its own size that an archive may unpack to: weights hardly shrink, results by a tenth of this."""


def pack(job_dir: Path, archive: Path) -> None:
    """The same folder gives the same bytes. Results that are already there go along, and are continued."""
    job = read_job(job_dir)
    files = [job_dir / "job.json"]
    for item in job.items:
        inside = sorted(file for file in (job_dir / item.package).rglob("*") if file.is_file())
        if not inside:
            raise SpecError(printable(str(job_dir / item.package)), "this package is missing")
        files += inside
    if (job_dir / RESULTS).exists():
        files.append(job_dir / RESULTS)
    # The app reads this one format, without compression: weights in half precision hardly shrink.
    with (
        writing(archive),
        whole_file(archive) as beside,
        tarfile.open(beside, "w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for file in files:
            entry = tarfile.TarInfo(file.relative_to(job_dir).as_posix())
            entry.size, entry.mode = file.stat().st_size, 0o644
            with file.open("rb") as content:
                tar.addfile(entry, content)


def unpack_job(archive: Path, folder: Path) -> Path:
    """Makes the folder of a packed job, after a look at every hash. One that has this job already stays as it is, with
    its results; one that has anything else is a SpecError."""
    with _tar(archive) as tar, _reading(archive):
        members = _files(tar, archive)
        if folder.exists() and any(folder.iterdir()):
            old = (folder / "job.json").read_bytes() if (folder / "job.json").exists() else None
            if old is None or not any(m.name == "job.json" and _content(tar, m).read() == old for m in members):
                raise SpecError(printable(str(folder)), "holds something else: move it away, or rename the archive")
            return folder
        with whole_folder(folder) as arriving:
            for member in members:
                target = arriving / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as file:
                    shutil.copyfileobj(_content(tar, member), file)
            for item in read_job(arriving).items:
                if _hash(arriving / item.package) != item.sha256:
                    raise SpecError("", f"{item.package} is missing, or damaged: its hash is another one")
    return folder


def _hash(package: Path) -> str | None:
    try:
        return deploy.package_hash(package)
    except deploy.DeployError:
        return None


def unpack_results(source: Path, job_dir: Path) -> None:
    """Adds results that were carried back to those of the folder: a results.jsonl, or a folder, tar or zip with one in
    it."""
    job = read_job(job_dir)
    content = _results(source / RESULTS if source.is_dir() else source)
    try:
        parse_results(content, job.job)
        old = (job_dir / RESULTS).read_bytes() if (job_dir / RESULTS).exists() else b""
        both = merge(old, content)
        parse_results(both, job.job)
    except SpecError as error:
        raise SpecError(printable(str(source)), str(error)) from None
    with writing(job_dir / RESULTS):
        write_whole(job_dir / RESULTS, both)


def _results(source: Path) -> bytes:
    if not source.is_file():
        raise SpecError(printable(str(source)), "there is no such file")
    if zipfile.is_zipfile(source):
        return _from_zip(source)
    with _reading(source):
        is_tar = tarfile.is_tarfile(source)
    if not is_tar:
        return source.read_bytes()
    with _tar(source) as tar, _reading(source):
        found = [member for member in _files(tar, source) if _is_results(member.name)]
        _check_found([(member.name, member.size) for member in found], source)
        return _content(tar, found[0]).read()


def _from_zip(source: Path) -> bytes:
    with _reading(source), zipfile.ZipFile(source) as archive:
        for name in archive.namelist():
            _check_name(name, source)
        found = [info for info in archive.infolist() if _is_results(info.filename)]
        _check_found([(info.filename, info.file_size) for info in found], source)
        _check_growth(found[0].file_size, source)
        with archive.open(found[0]) as content:
            return content.read(LARGEST_RESULTS)


def _is_results(name: str) -> bool:
    """Not the shadow files that a Mac's zip adds."""
    return name.rpartition("/")[2] == RESULTS and "__MACOSX" not in name


def _check_found(found: list[tuple[str, int]], source: Path) -> None:
    if len(found) != 1:
        raise SpecError(printable(str(source)), f"has {len(found) or 'no'} {RESULTS} in it; it should be one")
    if found[0][1] > LARGEST_RESULTS:
        raise SpecError(printable(str(source)), f"{RESULTS} has {found[0][1]:,} bytes: too many")


def _check_name(name: str, source: Path) -> None:
    if not is_inside(name):
        raise SpecError(printable(str(source)), f"{show(name)} leads out of the folder; nothing was unpacked")


def _check_growth(unpacked_bytes: int, source: Path) -> None:
    if unpacked_bytes > LARGEST_GROWTH * source.stat().st_size:
        rule = f"more than {LARGEST_GROWTH} times its size; nothing was unpacked"
        raise SpecError(printable(str(source)), f"would become {unpacked_bytes:,} bytes, {rule}")


def _files(tar: tarfile.TarFile, source: Path) -> list[tarfile.TarInfo]:
    members, unpacked_bytes = [], 0
    for member in tar:  # of a compressed one, each is unpacked to come to the next
        _check_name(member.name, source)
        if not (member.isreg() or member.isdir()):
            raise SpecError(printable(str(source)), f"{show(member.name)} is neither a file nor a folder")
        members.append(member)
        unpacked_bytes += member.size
        _check_growth(unpacked_bytes, source)
    return [member for member in members if member.isreg()]


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    assert content is not None
    return content


def _tar(path: Path) -> tarfile.TarFile:
    with _reading(path):
        return tarfile.open(path)


@contextlib.contextmanager
def _reading(source: Path) -> Iterator[None]:
    try:
        yield
    except SpecError as error:
        raise (error if error.path else SpecError(printable(str(source)), error.message)) from None
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        OSError,
        EOFError,
        RuntimeError,
    ) as error:
        raise SpecError(printable(str(source)), f"can't be read as an archive: {first_line(error)}") from None
