"""Whether requirements.txt can be installed on a Mac with Apple silicon, asked of pip's own resolver on any computer.

    python bench/check_mac.py [requirements.txt]        # make check-mac

Nothing is installed. pip chooses wheels by the platform it is told, but reads conditions such as `platform_system ==
"Linux"` on the computer it runs on: here they are answered as a Mac would.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from pip._internal.cli.main import main as pip
from pip._vendor.packaging import markers

MAC = {
    "os_name": "posix",
    "sys_platform": "darwin",
    "platform_system": "Darwin",
    "platform_machine": "arm64",
    "platform_release": "24.0.0",
    "platform_version": "Darwin Kernel Version 24.0.0",
}
PLATFORMS = [f"macosx_{major}_0_{kind}" for major in range(15, 10, -1) for kind in ("arm64", "universal2")]


def main() -> int:
    requirements = sys.argv[1] if len(sys.argv) > 1 else "requirements.txt"
    here = markers.default_environment
    markers.default_environment = lambda: here() | MAC  # type: ignore[typeddict-item]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ["--dry-run", "--ignore-installed", "--only-binary=:all:", "--quiet", "--disable-pip-version-check"]
        platforms = [part for platform in PLATFORMS for part in ("--platform", platform)]
        target = ["--implementation", "cp", "--target", str(Path(folder) / "target"), "--report", str(report)]
        status = pip(["install", *options, *platforms, *target, "-r", requirements])
        if status:
            return int(status)
        found = json.loads(report.read_text())["install"]
    names = {one["metadata"]["name"]: one["metadata"]["version"] for one in found}
    wheels = [one["download_info"]["url"].rpartition("/")[2] for one in found]
    native = sum("macosx" in wheel for wheel in wheels)
    print(
        f"{requirements}: {len(names)} packages resolve for macOS on Apple silicon, {native} of them with code for it"
    )
    for name in ("torch", "torchvision", "coremltools", "onnxruntime", "ray", "optuna"):
        print(f"  {name} {names.get(name, 'is missing')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
