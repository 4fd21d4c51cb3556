"""Trains a run to its end although it is killed again and again; tests/test_resuming.py compares the weights.

    python -m tests.killed_runs FOLDER PROCESSES OVERRIDES... -- STEPS...

Each start is as many forks of this process, which has imported everything but run nothing; each kills itself (SIGKILL)
in the middle of the given step.
"""

import os
import signal
import socket
import sys
import traceback
from pathlib import Path

import training.step
from training.loop import train
from training.reading import load_config

ROOT = Path(__file__).parent.parent


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
    accumulate, counted = training.step.Sandwich._accumulate, [0]

    def counting(self, *arguments):
        counted[0] += 1
        if counted[0] == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return accumulate(self, *arguments)

    training.step.Sandwich._accumulate = counting
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
    folder, world, overrides = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:split]
    config = load_config(ROOT / "configs" / "digits.yaml", overrides)
    for dies_at in map(int, sys.argv[split + 1 :]):
        for status in attempt(folder, config, dies_at, world):
            assert os.WIFSIGNALED(status), f"ended with {status} before it was killed"
            assert os.WTERMSIG(status) == signal.SIGKILL
    sys.exit(max(map(os.waitstatus_to_exitcode, attempt(folder, config, 0, world))))
