"""What a run ran on: kept beside its results, so that a figure can be explained later."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import torch

_ROOT = Path(__file__).resolve().parents[1]


def environment() -> dict[str, Any]:
    """Plain data for environment.json: versions, the commit, the devices. No names of computers or people."""
    return {
        "slimformer": _version("slimformer"),
        "git_commit": _git("rev-parse", "HEAD"),
        "git_changed": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "torch": torch.__version__,
        "timm": _version("timm"),
        "numpy": np.__version__,
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
        "cuda_devices": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return _version_of_checkout() if package == "slimformer" else None


def _version_of_checkout() -> str | None:
    import tomllib

    project = _ROOT / "pyproject.toml"
    if not project.exists():
        return None
    version: str = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]
    return version


def _git(*arguments: str) -> str | None:
    """None outside a checkout of ours: an installed package may lie inside some other repository."""
    git = shutil.which("git")
    if git is None or not (_ROOT / ".git").exists():
        return None
    done = subprocess.run([git, "-C", str(_ROOT), *arguments], capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.strip() if done.returncode == 0 else None
