"""Ctrl-C while a command still loads PyTorch."""

import signal
import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["deploy.try_block", "pipeline"])
def test_ctrl_c_while_a_command_loads(module):
    """In a Python of its own, which says what it loads: those of the other tests have loaded all."""
    words = [sys.executable, "-X", "importtime", "-m", module, "--help"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as command:
        assert any("torch" in line for line in command.stderr), "it ended without loading PyTorch"
        command.send_signal(signal.SIGINT)
        out, rest = command.communicate()
    assert command.returncode == -signal.SIGINT
    assert out == ""
    assert "Traceback" not in rest
