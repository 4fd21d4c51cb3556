"""Trains a run to its end although it is killed again and again; tests/test_resuming.py compares the weights.

    python -m tests.killed_runs

reads one JSON list a line: folder, number of processes, config, overrides, and the steps of the deaths. The config is
of a run of train_supernet.py, or of retrain.py where it has a spec. Each start is as many forks of this process, which
has imported everything, also what a run imports late, but run nothing; each kills itself (SIGKILL) in the middle of the
given step. The answer is a line of JSON: how the last start ended, and what was said.
"""

import json
import os
import signal
import socket
import sys
import tempfile
import traceback
from pathlib import Path

import sklearn.datasets  # noqa: F401
import torch.utils.tensorboard  # noqa: F401

from training.loop import train
from training.network_step import NetworkStep
from training.reading import load_config, load_network_config
from training.step import Sandwich


def attempt(folder, config, dies_at, world):
    """How each of the processes ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    together = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    children = []
    for rank in range(world):
        child = os.fork()
        if not child:
            if world > 1:
                os.environ.update(together, RANK=str(rank), LOCAL_RANK=str(rank))
            run(folder, config, dies_at)
        children.append(child)
    return [os.waitpid(child, 0)[1] for child in children]


def run(folder, config, dies_at):
    counted = [0]

    def count(method):
        def counting(self, *arguments):
            counted[0] += 1
            if counted[0] == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return method(self, *arguments)

        return counting

    Sandwich._accumulate = count(Sandwich._accumulate)
    NetworkStep._loss = count(NetworkStep._loss)
    status = 1
    try:
        train(config, folder)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def to_the_end(folder, world, file, overrides, deaths):
    folder, file = Path(folder), Path(file)
    load = load_network_config if file.read_text().startswith("spec:") else load_config
    config = load(file, overrides)
    for dies_at in deaths:
        for status in attempt(folder, config, dies_at, world):
            assert os.WIFSIGNALED(status), f"ended with {status} before it was killed"
            assert os.WTERMSIG(status) == signal.SIGKILL
    return max(map(os.waitstatus_to_exitcode, attempt(folder, config, 0, world)))


def in_a_fork(said, request):
    os.dup2(said.fileno(), 1)
    os.dup2(said.fileno(), 2)
    status = 1
    try:
        status = to_the_end(*request)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


if __name__ == "__main__":
    for line in sys.stdin:
        with tempfile.TemporaryFile() as said:
            child = os.fork()
            if not child:
                in_a_fork(said, json.loads(line))
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            said.seek(0)
            print(json.dumps([status, said.read().decode(errors="replace")]), flush=True)
