"""Trains a run to its end although it is killed again and again; tests/test_resuming.py compares the weights.

    python -m tests.killed_runs FOLDER PROCESSES CONFIG OVERRIDES... -- STEPS...

CONFIG is a run of train_supernet.py, or of retrain.py where it has a spec. Each start is as many forks of this process,
which has imported everything but run nothing; each kills itself (SIGKILL) in the middle of the given step.
"""

import os
import signal
import socket
import sys
import traceback
from pathlib import Path

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


if __name__ == "__main__":
    split = sys.argv.index("--")
    folder, world, file, overrides = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:split]
    load = load_network_config if file.read_text().startswith("spec:") else load_config
    config = load(file, overrides)
    for dies_at in map(int, sys.argv[split + 1 :]):
        for status in attempt(folder, config, dies_at, world):
            assert os.WIFSIGNALED(status), f"ended with {status} before it was killed"
            assert os.WTERMSIG(status) == signal.SIGKILL
    sys.exit(max(map(os.waitstatus_to_exitcode, attempt(folder, config, 0, world))))
