"""Signals ask a run to stop; none is lost, and handlers come back."""

import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from tests.forks import PYTHON
from training.stopping import stop_on_signals

ROOT = Path(__file__).parents[1]


def _send(number):
    os.kill(os.getpid(), number)


@pytest.fixture(autouse=True)
def _handlers_come_back():
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
    before = [signal.getsignal(number) for number in numbers]
    yield
    assert [signal.getsignal(number) for number in numbers] == before


@pytest.mark.parametrize(("number", "name"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "Ctrl-C")])
def test_a_signal_asks_to_stop(number, name, caplog):
    with stop_on_signals() as stop:
        assert stop.requested is None
        _send(number)
        assert stop.requested == name
        _send(signal.SIGTERM)
        assert stop.requested == name
    assert caplog.text.count("stopping after this step") == 1


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_a_second_ctrl_c_is_obeyed_at_once(first):
    seen = []

    def loop():
        with stop_on_signals() as stop:
            _send(first)
            seen.append(stop.requested)
            _send(signal.SIGINT)
            seen.append("went on")

    with pytest.raises(KeyboardInterrupt):
        loop()
    assert seen == ["SIGTERM" if first == signal.SIGTERM else "Ctrl-C"]


def test_handlers_come_back_after_an_error():
    with pytest.raises(ZeroDivisionError), stop_on_signals():
        1 / 0  # noqa: B018


def test_the_signal_of_a_job_waits_for_the_checkpoint():
    events = []
    before = signal.signal(signal.SIGUSR2, lambda *_: events.append("queued again"))
    try:
        with stop_on_signals() as stop:
            _send(signal.SIGUSR2)
            assert stop.requested == "SIGUSR2"
            events.append("checkpoint")
        assert events == ["checkpoint", "queued again"]
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_the_signal_of_a_job_is_left_alone_without_a_job():
    with stop_on_signals():
        assert signal.getsignal(signal.SIGUSR2) == signal.SIG_DFL


@pytest.mark.parametrize(("number", "ended_by"), [(signal.SIGINT, 0), (signal.SIGTERM, signal.SIGTERM)])
def test_forked_workers(number, ended_by):
    """Ctrl-C in a terminal reaches data workers too: the main process decides. SIGTERM to a worker ends it."""
    with stop_on_signals() as stop:
        child = os.fork()
        if not child:
            _send(number)
            os._exit(0 if stop.requested is None else 1)
        assert os.waitpid(child, 0)[1] == ended_by
        assert stop.requested is None


def test_in_a_thread_nothing_is_caught():
    found = []

    def work():
        with stop_on_signals() as stop:
            found.append((stop.requested, signal.getsignal(signal.SIGTERM)))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(None, before)]


def test_a_real_process():
    """The signal comes while it works; it ends its step and leaves in order."""
    code = """
from training.stopping import stop_on_signals
with stop_on_signals() as stop:
    print("working", flush=True)
    while not stop.requested:
        sum(range(1000))
    print("saved after", stop.requested)
"""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([*PYTHON, "-c", code], env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "working\n"
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (0, "saved after SIGTERM\n")


def test_a_time_limit_is_passed_on_when_the_run_leaves_by_an_exception():
    """As `train` does; a Slurm job would not be queued again otherwise."""
    passed_on = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: passed_on.append(number))
    try:
        with pytest.raises(RuntimeError, match="stopped"):
            _leave_by_an_exception(passed_on)
        assert passed_on == [signal.SIGUSR2]
    finally:
        signal.signal(signal.SIGUSR2, before)


def _leave_by_an_exception(passed_on):
    with stop_on_signals() as stop:
        signal.raise_signal(signal.SIGUSR2)
        assert stop.requested == "SIGUSR2"
        assert not passed_on
        raise RuntimeError("stopped")
