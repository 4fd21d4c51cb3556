"""An iPhone: the app is built, installed and started there, measures a whole job, and is followed from the Mac.

A phone that is unplugged, locked or warm, and an app that crashes, cost no more than the item under way: what is
measured stands in the job's results.jsonl, and the next start goes on there. Written from documentation and from what
others report of these programs; it has never run with a real phone.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from supernet.values import printable
from supernet.whole_files import write_whole

from ..phone.app import PhoneApp, cache_folder, check_bundle, check_team, default_bundle
from ..phone.archive import pack
from ..phone.explaining import PhoneError, explained, last_words
from ..phone.job import RESULTS, PhoneJob, read_job
from ..phone.phones import choose_phone
from ..phone.results import PhoneResults, WaitingEvent, merge, parse_results, read_results

Result = TypeVar("Result")

POLL_S = 30.0
"""Between two looks at the results: rare enough that copying does not disturb the measurement."""
PATIENCE_S = 180.0
"""For which a person may unlock the phone or plug it in again."""
PAUSE_S = 5.0
"""Between two tries of that."""
STALL_S = 2400.0
"""Without a new line, after which the app is taken for hung. It waits up to 30 minutes for a warm phone to cool."""
ENDS_ALLOWED = 3
"""Starts in a row that brought no result, before it is given up."""


def _say(what: str) -> None:
    print(what, flush=True)  # also into a pipe: it is what a person waits for


def measure_on_iphone(
    job_dir: Path,
    *,
    team: str,
    phone: str | None = None,
    bundle: str | None = None,
    cache: Path | None = None,
    say: Callable[[str], None] = _say,
    poll_s: float = POLL_S,
    patience_s: float = PATIENCE_S,
    stall_s: float = STALL_S,
) -> PhoneResults:
    """All of a job, continued where it was left. After a PhoneError, which says what to do, the same call goes on."""
    check_team(team)
    bundle = bundle or default_bundle(team)
    check_bundle(bundle)
    job, cache = read_job(job_dir), cache or cache_folder()
    if (job_dir / RESULTS).exists() and (done := read_results(job_dir)).is_finished:
        say("all of this job is measured already")
        return done
    cache.mkdir(parents=True, exist_ok=True)
    patience = _Patience(say, patience_s)
    app = PhoneApp(patience(lambda: choose_phone(phone)), bundle)
    say(f"building and installing the app for {app.phone}; the first time takes a few minutes")
    patience(lambda: app.install(team, cache))
    session = _Session(job, job_dir, app, say, poll_s, stall_s)
    patience(session.send)
    return session.follow(patience)


class _Patience:
    """Tries again while the reason is one that a person at the phone can remove."""

    def __init__(self, say: Callable[[str], None], patience_s: float) -> None:
        self.say, self.patience_s = say, patience_s

    def __call__(self, action: Callable[[], Result]) -> Result:
        until, told = 0.0, ""
        while True:
            began = time.monotonic()
            try:
                return action()
            except PhoneError as error:
                now = time.monotonic()
                if not told or now - began > self.patience_s + 60:  # it went well for a while
                    until = now + self.patience_s
                if not error.passes or now >= until:
                    raise
                if error.message != told:
                    self.say(f"{error.message} (waiting up to {self.patience_s / 60:.0f} minutes)")
                told = error.message
                time.sleep(PAUSE_S)


class _Session:
    def __init__(
        self, job: PhoneJob, job_dir: Path, app: PhoneApp, say: Callable[[str], None], poll_s: float, stall_s: float
    ) -> None:
        self.job, self.job_dir, self.app, self.say = job, job_dir, app, say
        self.poll_s, self.stall_s = poll_s, stall_s
        self.said = ""

    @property
    def place(self) -> str:
        return f"Documents/jobs/{self.job.job}"

    def send(self) -> None:
        """Unless the phone has the job from an earlier time."""
        with tempfile.TemporaryDirectory(dir=self.job_dir, prefix=".sending-") as folder:
            if self.app.fetch(f"{self.place}/job.json", Path(folder) / "job.json"):
                return
            archive = Path(folder) / "job.tar"
            pack(self.job_dir, archive)
            self.say(f"copying {len(self.job.items):,} packages, {archive.stat().st_size / 1e6:,.0f} MB")
            self.app.send(archive, "Documents/job.tar")

    def follow(self, patience: _Patience) -> PhoneResults:
        idle = 0
        while True:
            before = self._measured()
            ended = patience(self._one_start)
            results = self._results()
            if results is not None and results.is_finished:
                return results
            if results is not None and results.stopped is not None:
                raise PhoneError(_stopped(results.stopped))
            idle = 0 if self._measured() > before else idle + 1
            if idle >= ENDS_ALLOWED:
                raise PhoneError(
                    f"the app ended {idle} times without a result. The last that was said: {last_words(ended)}"
                )
            self.say("the app has ended before all was measured; it is started again and goes on")

    def _one_start(self) -> str:
        """From launch to end; what was said, or a PhoneError where the phone did not let the app start."""
        self._fetch()
        size = self._size()
        with tempfile.TemporaryDirectory(dir=self.job_dir, prefix=".launch-") as folder:
            log = Path(folder) / "log"
            process = self.app.launch(log)
            try:
                self._wait(process)
            finally:
                process.kill()
                process.wait()
            said = log.read_text(encoding="utf-8", errors="replace")
        self._fetch()
        if own := re.search(r"slimformer: Error: ([^\r\n]+)", said):
            raise PhoneError(f"the app says: {printable(own[1])}")
        if process.returncode != 0 and self._size() == size:
            error = explained(said, "starting the app")
            if error.is_known:
                raise error
        return said

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        size, since = self._size(), time.monotonic()
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self.poll_s)
                return
            try:
                self._fetch()
            except PhoneError as error:
                self.say(error.message)  # the launch command sees it too, if it lasts
            if self._size() != size:
                size, since = self._size(), time.monotonic()
            elif time.monotonic() - since > self.stall_s:
                self.say(f"nothing new for {self.stall_s / 60:.0f} minutes: the app is taken for hung")
                return

    def _fetch(self) -> None:
        """Adds what the phone has to what is here."""
        with tempfile.TemporaryDirectory(dir=self.job_dir, prefix=".fetched-") as folder:
            file = Path(folder) / RESULTS
            if not self.app.fetch(f"{self.place}/{RESULTS}", file):
                return
            new = file.read_bytes()
        path = self.job_dir / RESULTS
        old = path.read_bytes() if path.exists() else b""
        both = merge(old, new)
        if both and both != old:
            parse_results(both, self.job.job)
            write_whole(path, both)
            self._tell()

    def _results(self) -> PhoneResults | None:
        return read_results(self.job_dir) if (self.job_dir / RESULTS).exists() else None

    def _measured(self) -> int:
        results = self._results()
        if results is None:
            return 0
        # An item that fails is progress too: the next start leaves it out.
        return results.measured + sum(
            (i.failed is not None) + (i.sustained is not None) for i in results.items.values()
        )

    def _size(self) -> int:
        path = self.job_dir / RESULTS
        return path.stat().st_size if path.exists() else 0

    def _tell(self) -> None:
        results = self._results()
        assert results is not None
        text = f"{min(results.measured, self.job.bursts):,} of about {self.job.bursts:,} bursts measured"
        if isinstance(results.last, WaitingEvent):
            text += f"; waiting: {_waiting(results.last.reason)}"
        if text != self.said:
            self.say(text)
        self.said = text


def _waiting(reason: str) -> str:
    if reason.startswith("thermal"):
        return f"the phone is warm ({printable(reason)}): take it out of its case, into the shade, off a charging pad"
    return f"{printable(reason)}: leave Slimformer open on the phone"


def _stopped(reason: str) -> str:
    advice = {
        "low power mode": "switch it off: Settings > Battery > Low Power Mode, and run this again",
        "no space left on the phone": "delete something there, and run this again",
    }.get(reason, "run this again when the phone is cool and nobody uses it")
    return f"the app stopped: {printable(reason)}; {advice}. What is measured is kept"
