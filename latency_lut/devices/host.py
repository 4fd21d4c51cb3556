"""What this computer is, in words that fit a table, and what it lacks."""

from __future__ import annotations

import importlib.util
import platform
import subprocess
from pathlib import Path

from supernet import SpecError


def processor() -> str:
    """The processor's name, such as the system gives it, and its family and model: in a cloud, several generations have
    the same name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        first, _, _ = info.read_text(encoding="utf-8", errors="replace").partition("\n\n")
        fields = {
            name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())
        }
        if "model name" in fields:
            numbers = [fields[name] for name in ("cpu family", "model") if name in fields]
            return f"{fields['model name']} {'/'.join(numbers)}".strip()
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
