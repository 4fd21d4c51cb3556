"""Mistakes about processes: Ctrl-C early, workers that die, a Python that is too old, a file that can't grow."""

import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.forks import PYTHON
from tests.mistakes import MANUAL, ROOT, said

DYING = "import os\n\ndef accuracies(specs):\n    os._exit(1)\n"


def started(*words, cwd, python=(sys.executable,), **options):
    return subprocess.Popen(
        [*python, *words], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


@pytest.mark.parametrize(
    "words",
    [
        ("-m", "latency_lut", "show", "none.sqlite"),
        (str(ROOT / "train_supernet.py"), "none.yaml", "--out", "run"),
        (str(ROOT / "search.py"), "none.yaml", "--out", "run"),
        (str(ROOT / "retrain.py"), "none.yaml", "--out", "run"),
    ],
    ids=["latency_lut", "train_supernet", "search", "retrain"],
)
def test_ctrl_c_while_everything_is_imported(words, tmp_path, monkeypatch):
    """Now and then it comes at a moment when Python itself forgets it, and says so: a person presses it again."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    quiet, seen = {(130, ""), (-signal.SIGINT, "")}, []
    while len(seen) < 4 and not quiet & set(seen):
        process = started(*words, cwd=tmp_path)
        time.sleep(0.4)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=120)
        seen.append((process.returncode, error))
    assert quiet & set(seen), seen


def test_a_python_that_is_too_old(tmp_path):
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, tmp_path)
    old = tmp_path / "python3.10"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.10.12 || exit 1\n')
    old.chmod(0o755)
    done = subprocess.run(
        ["make", "--no-print-directory", f"PYTHON={old}", "setup"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    expected = f"Python 3.11 or newer is needed; {old} is Python 3.10.12. Try: make PYTHON=python3.12 setup"
    assert done.stdout.splitlines()[0] == expected
    assert not (tmp_path / ".venv").exists()
    assert "Python 3.11 or newer is needed; python3 is" in MANUAL.read_text()


def test_a_file_that_can_not_grow(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    little = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # noqa: E731
    process = started("-m", "supernet", "show", "iformer_t", "--svg", "x.svg", cwd=tmp_path, preexec_fn=little)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, said(error)) == (2, "x.svg: can't be written: File too large")


@pytest.mark.slow
def test_workers_that_are_killed_again_and_again(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RAY_ADDRESS", "local")
    (tmp_path / "dying.py").write_text(DYING)
    options = ("supernet=", "space=tiny", "accuracy.function=dying:accuracies", "workers.where=ray", "evaluations=2")
    words = [word for option in options for word in ("--set", option)]
    config = ROOT / "configs" / "search" / "digits.yaml"
    process = started(str(ROOT / "search.py"), str(config), "--out", "found", *words, cwd=tmp_path, python=PYTHON)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 2
    assert "Traceback" not in error
    expected = "the evaluation of a network failed 3 times: The actor is dead because its worker process has died."
    assert error.splitlines()[-1].startswith(f"error: {expected}")
    assert expected in MANUAL.read_text()
