"""The app on the phone: built for a team, installed, and what it has in its documents."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from supernet.values import SpecError, show

from .explaining import PhoneError
from .phones import Phone
from .programs import MINUTE_S, Answer, devicectl, must, run, start

IOS = Path(__file__).parents[1] / "ios"
OLDEST_XCODE = 16  # of the project's format


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slimformer" / "iphone"


@dataclass(frozen=True)
class PhoneApp:
    """The app with the identifier `bundle` on one phone. Paths on the phone start from the app's own folder."""

    phone: Phone
    bundle: str

    def install(self, team: str, cache: Path) -> None:
        """Builds in `cache`, where everything is kept for the next time."""
        must(
            self._devicectl("install", "app", str(self._build(team, cache)), timeout_s=20 * MINUTE_S),
            "installing the app",
        )

    def _build(self, team: str, cache: Path) -> Path:
        version = must(run("xcodebuild", "-version"), "asking for Xcode's version").text
        found = re.search(r"Xcode (\d+)", version)
        if found and int(found[1]) < OLDEST_XCODE:
            raise PhoneError(f"{found[0]} is too old: Xcode {OLDEST_XCODE} or newer is needed")
        sources = cache / "ios"
        shutil.rmtree(sources, ignore_errors=True)
        shutil.copytree(
            IOS, sources
        )  # Xcode writes beside what it builds; times are kept, so that little is built anew
        answer = run(
            "xcodebuild", "-project", str(sources / "App" / "Slimformer.xcodeproj"), "-scheme", "Slimformer",
            "-configuration", "Release", "-destination", f"platform=iOS,id={self.phone.udid}",
            "-derivedDataPath", str(cache / "built"),
            "-allowProvisioningUpdates", "-allowProvisioningDeviceRegistration",
            f"DEVELOPMENT_TEAM={team}", f"PRODUCT_BUNDLE_IDENTIFIER={self.bundle}", "build",
            timeout_s=60 * MINUTE_S,
        )  # fmt: skip
        (cache / "build.log").write_text(answer.text, encoding="utf-8")
        must(answer, f"building the app (all of it: {cache / 'build.log'})")
        return cache / "built" / "Build" / "Products" / "Release-iphoneos" / "Slimformer.app"

    def send(self, file: Path, place: str) -> None:
        # One file: how folders arrive differs from version to version of devicectl.
        answer = self._devicectl(
            "copy", "to", *self._domain(), "--source", str(file.resolve()), "--destination", place,
            timeout_s=60 * MINUTE_S,
        )  # fmt: skip
        must(answer, "copying the job to the phone")

    def fetch(self, place: str, file: Path) -> bool:
        """Whether there is such a file on the phone."""
        for user in (
            (),
            ("--user", "mobile"),
        ):  # some versions find files only so, and say otherwise that there are none
            answer = self._devicectl(
                "copy", "from", *self._domain(), *user, "--source", place, "--destination", str(file.resolve()),
                timeout_s=10 * MINUTE_S,
            )  # fmt: skip
            if answer.code == 0 and file.exists():
                return True
            if not re.search(
                r"retrieve the file node|CoreDeviceError (error )?7000|doesn.t exist|No such file", answer.text
            ):
                must(answer, "copying results from the phone")
        return False

    def launch(self, log: Path) -> subprocess.Popen[bytes]:
        """Ends when the app does, or when the phone is gone."""
        return start(
            log, "xcrun", "devicectl", "device", "process", "launch", "--device", self.phone.identifier,
            "--console", "--terminate-existing", self.bundle, "--measure",
        )  # fmt: skip

    def _devicectl(self, *arguments: str, timeout_s: float) -> Answer:
        where = ("--device", self.phone.identifier)
        return devicectl("device", *arguments[:2], *where, *arguments[2:], timeout_s=timeout_s)

    def _domain(self) -> tuple[str, ...]:
        return "--domain-type", "appDataContainer", "--domain-identifier", self.bundle


def check_team(team: str) -> None:
    if not re.fullmatch(r"[A-Z0-9]{10}", team):
        raise SpecError(
            "--team",
            f"{show(team)} is no team identifier: 10 capital letters and digits, see Xcode > Settings > Accounts",
        )


def default_bundle(team: str) -> str:
    """With the team in it, because an identifier belongs to one team of all the world."""
    return f"slimformer.measure.{team.lower()}"


def check_bundle(bundle: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", bundle):
        raise SpecError("--bundle", f"{show(bundle)} is no identifier such as com.example.measure")
