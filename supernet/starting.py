"""While one of this project's commands loads, which takes seconds, Ctrl-C ends it as it does later: without a
traceback. The package imports this first."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("deploy", "latency_lut", "pipeline", "search", "supernet", "training")
SCRIPTS = ("train_supernet.py", "search.py", "retrain.py")


def _is_ours() -> bool:
    """Whether Python was started for `python -m PACKAGE` or a script of this project, not by a user's own program."""
    words = sys.orig_argv[1:]
    if "-m" in words[:-1]:
        return words[words.index("-m") + 1].partition(".")[0] in PACKAGES
    return bool(sys.argv) and Path(sys.argv[0]).resolve() in [ROOT / name for name in SCRIPTS]


def _say(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


if _is_ours():
    sys.excepthook = _say
