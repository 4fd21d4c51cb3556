"""The other end of tests/forks.py: it imports, and forks.

    python -m tests.forks_server SOCKET

Each program has a process that watches it, with the connection to who asked.
"""

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
import types

from tests.forks import SIGNALS


def serve(address):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(64)
    print("listening", flush=True)
    ready = False
    while True:
        readable, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in readable:
            return
        connection, _ = listener.accept()
        if not ready:
            gc.disable()
            _import()
            gc.freeze()  # what the collector looks at would be copied for each
            gc.enable()
            ready = True
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who watch
        if not os.fork():
            listener.close()
            _watch(connection)


def _import():
    """What programs of the project import; nothing that starts a thread."""

    import training.command
    import training.loop  # noqa: F401


def _watch(connection):
    """Starts the program, passes signals to it, and says how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, streams, _, _ = socket.recv_fds(connection, 8, 3)
    request, length = b"", int.from_bytes(size, "big")
    while len(request) < length:
        request += connection.recv(length - len(request))
    program = os.fork()
    if not program:
        connection.close()
        _become(json.loads(request), streams)
    for stream in streams:
        os.close(stream)
    ended = os.pidfd_open(program)
    while ended not in select.select([ended, connection], [], [])[0]:
        if numbers := connection.recv(64):
            for number in numbers:
                os.kill(program, number)
        else:
            os.kill(program, signal.SIGKILL)
            break
    status = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    try:
        connection.sendall(b"%d\n" % status)
    finally:
        os._exit(0)


def _become(request, streams):
    """The program: as if Python had just started with these words."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False, errors="backslashreplace", buffering=1)
    status = 1
    try:
        status = _run(*request["words"])
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _run(*words):
    """What Python does with these words, and its status."""
    first, *others = words[1:] if words[0] == "-u" else words  # torchrun's
    sys.modules["numpy"].random.seed()  # Python's own numbers are others after a fork
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[0:1] = ["", *(os.path.abspath(path) for path in paths if path)]
    try:
        if first == "-c":
            sys.argv = ["-c", *others[1:]]
            sys.modules["__main__"] = module = types.ModuleType("__main__")
            exec(compile(others[0], "<string>", "exec"), module.__dict__)  # noqa: S102  a test's
        elif first == "-m":
            sys.path[0], sys.argv = os.getcwd(), list(others)
            runpy.run_module(others[0], run_name="__main__", alter_sys=True)
        else:
            sys.path[0], sys.argv = os.path.dirname(os.path.abspath(first)), [first, *others]
            runpy.run_path(first, run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        traceback.print_exc()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve(sys.argv[1])
