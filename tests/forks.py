"""A Python that has imported PyTorch already: programs are forks of one process, and start in no time.

    subprocess.run([*PYTHON, "train_supernet.py", ...])    # wherever a test would say sys.executable

A small process stands for the program: it hands on its streams, folder and environment, passes signals, and ends as the
program does; if it is killed, so is the program. `open_server` starts the process that is forked, which imports at the
first request. What is read when Python or a package starts (PYTHONHASHSEED, SLIMFORMER_BLOCKS) needs a real Python, as
does whatever checks what is imported.
"""

import json
import os
import signal
import socket
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ADDRESS = "SLIMFORMER_TEST_FORKS"
PYTHON = [sys.executable, "-S", "-E", __file__] if sys.platform == "linux" else [sys.executable]
servers = []
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


def executable(folder):
    """One file that stands for `PYTHON`, where words can't."""
    path = os.path.join(folder, "python")
    with open(path, "w") as file:
        file.write(f'#!/bin/sh\nexec {" ".join(PYTHON)} "$@"\n')
    os.chmod(path, 0o700)
    return path


def open_server(folder):
    """Starts it, and says by the environment where it is; it ends with its input, that is, with this process."""
    import subprocess  # not for those that ask: they start in 20 ms

    address = os.environ[ADDRESS] = os.path.join(folder, "forks")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.forks_server", address]
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    server.stdout.readline()  # it listens
    servers.append(server)  # a pipe that nobody holds would be closed


def ask(words):
    """Has the program run, and ends as it did."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(os.environ[ADDRESS])
    request = json.dumps({"words": words, "folder": os.getcwd(), "environment": dict(os.environ)}).encode()
    socket.send_fds(connection, [len(request).to_bytes(8, "big")], [0, 1, 2])
    for number in SIGNALS:
        signal.signal(number, lambda number, _: connection.sendall(bytes([number])))
    connection.sendall(request)
    status = int(connection.makefile().readline())
    if status < 0:
        signal.signal(-status, signal.SIG_DFL) if -status != signal.SIGKILL else None
        os.kill(os.getpid(), -status)
    sys.exit(status)


if __name__ == "__main__":
    ask(sys.argv[1:])
