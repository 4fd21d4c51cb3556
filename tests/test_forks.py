"""A fork does as a Python of its own would: streams, arguments, folder, environment, signals, how it ends."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.forks import PYTHON

PYTHONS = [pytest.param([sys.executable], id="python"), pytest.param(PYTHON, id="fork")]
SAYS = "import os, sys; print(sys.argv, __name__, os.getcwd(), os.environ['WORD'], sys.stdin.read())"


@pytest.mark.parametrize("python", PYTHONS)
def test_what_a_program_sees(python, tmp_path):
    (tmp_path / "program.py").write_text(SAYS)
    (tmp_path / "beside.py").write_text("from program import *")
    for words in (["-c", SAYS], ["program.py"], ["-m", "beside"]):
        done = subprocess.run(
            [*python, *words, "é x"],
            input="input",
            cwd=tmp_path,
            env=os.environ | {"WORD": "word"},
            capture_output=True,
            text=True,
        )
        name = "program" if words[0] == "-m" else "__main__"
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.endswith(f", 'é x'] {name} {tmp_path} word input\n")


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(
    ("program", "status", "said"),
    [
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('no')", 1, "no\n"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero\n"),
        ("raise KeyboardInterrupt", -signal.SIGINT, "KeyboardInterrupt\n"),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL, ""),
        ("import atexit, sys; atexit.register(print, 'end', file=sys.stderr)", 0, "end\n"),
    ],
)
def test_how_it_ends(python, program, status, said):
    done = subprocess.run([*python, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr.endswith(said)) == (status, True), done.stderr
    assert bool(done.stderr) == bool(said)


@pytest.mark.parametrize("python", PYTHONS)
def test_signals_reach_it(python):
    program = (
        "import time\ntry:\n print(1, flush=True); time.sleep(60)\nexcept KeyboardInterrupt:\n raise SystemExit(130)"
    )
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)):
        process = subprocess.Popen([*python, "-c", program], stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "1\n"
        process.send_signal(number)
        assert process.wait(20) == status


def test_it_ends_with_who_asked():
    program = "import time; print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([*PYTHON, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "1\n"
        began = time.monotonic()
        process.kill()
        assert process.stdout.read() == "", "the program holds its output as long as it lives"
        assert time.monotonic() < began + 20
