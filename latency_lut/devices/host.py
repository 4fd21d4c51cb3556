"""What this computer is, in words that fit a table, and what it lacks."""

from __future__ import annotations

import importlib.util
import platform
import subprocess
from pathlib import Path

from supernet import SpecError


def processor() -> str:
    """The processor's name, such as the system gives it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if platform.system() == "Darwin":  # Python calls them all "arm"
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        if name := subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip():  # noqa: S603
            return name
    return platform.processor() or platform.machine()


def system() -> str:
    return f"{platform.system()} {platform.machine()}"


def needs(package: str, device: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise SpecError("--device", f"{device!r} needs the package {package}")
