"""Two processes with half of the images each are one process with all of them: real processes, over gloo."""

import socket
import subprocess
from pathlib import Path

import pytest
import torch

from tests.forks import PYTHON

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_two_processes_are_one(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [*PYTHON, "-m", "tests.parallel_worker", str(tmp_path), port]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    first, second, one = (torch.load(tmp_path / name) for name in ("two.0", "two.1", "one.0"))
    for setting, parts in one.items():
        for part, tensors in parts.items():
            for name, tensor in tensors.items():
                where = f"{setting}: {part}: {name}"
                assert torch.equal(first[setting][part][name], second[setting][part][name]), where
                torch.testing.assert_close(first[setting][part][name], tensor, rtol=1e-10, atol=1e-10, msg=where)
    weights = [parts["net"]["stem.conv1.conv.weight"] for parts in one.values()]
    assert len({float(weight.sum()) for weight in weights}) == len(weights), "the settings make no difference"
