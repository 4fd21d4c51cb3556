import gc
import signal
import sys
import tempfile
from collections import Counter

import pytest
import torch

from tests import forks

gc.disable()  # until the tests are collected: to look through all that is imported, again and again, takes seconds


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than a few seconds; `make quick` leaves it out")
    # A shell that starts the tests in the background has Ctrl-C ignored, by them and all that they start.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput") and sys.platform == "linux":  # those of xdist have the server of their parent
        folder = tempfile.TemporaryDirectory(prefix="forks")
        forks.open_server(folder.name)
        config.add_cleanup(folder.cleanup)


def pytest_collection_modifyitems(items):
    """Files with slow tests come first: processes take file by file, and none shall wait for another in the end."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


def pytest_collection_finish(session):
    """What was imported is a million objects: with them, and looking as often as usual, it took a tenth of the time.

    They stay frozen: a training would unfreeze them with its own, and to count them is to go through them.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()
    gc.unfreeze, gc.get_freeze_count = lambda: None, lambda: 1


@pytest.fixture(scope="module")
def process_as_before():
    """Commands that are run in this process set it up for themselves."""
    threads, benchmark = torch.get_num_threads(), torch.backends.cudnn.benchmark
    yield
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = benchmark


@pytest.fixture(autouse=True)
def _same_random_numbers():
    torch.manual_seed(0)
