"""Trains a run to its end although it is killed again and again; tests/test_resuming.py compares the weights.

    python -m tests.killed_runs FOLDER OVERRIDES... -- STEPS...

Each start is a fork of this process, which has imported everything but run nothing; it kills itself (SIGKILL) in the
middle of the given step.
"""

import os
import signal
import sys
from pathlib import Path

import training.step
from training.loop import train
from training.reading import load_config

ROOT = Path(__file__).parent.parent


def attempt(folder, config, dies_at):
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
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
    finally:
        os._exit(status)


if __name__ == "__main__":
    split = sys.argv.index("--")
    folder, overrides, deaths = Path(sys.argv[1]), sys.argv[2:split], [int(step) for step in sys.argv[split + 1 :]]
    config = load_config(ROOT / "configs" / "digits.yaml", overrides)
    for dies_at in deaths:
        status = attempt(folder, config, dies_at)
        assert os.WIFSIGNALED(status), f"ended with {status} before it was killed"
        assert os.WTERMSIG(status) == signal.SIGKILL
    sys.exit(os.waitstatus_to_exitcode(attempt(folder, config, 0)))
