"""A real PostgreSQL for tests: a server of our own in a folder of its own, or a skip that says why there is none."""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Postgres:
    """A server of our own, which does not run as root."""

    def __init__(self):
        home = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
        self.pg_ctl = shutil.which("pg_ctl", path=f"{home}:{os.environ['PATH']}")
        if self.pg_ctl is None:
            pytest.skip("there is no PostgreSQL here")
        self.user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
        self.folder = Path(tempfile.mkdtemp(prefix="pg"))
        if self.user:
            try:
                shutil.chown(self.folder, "postgres", "postgres")
            except LookupError:
                pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        self.port = free_port()
        self.url = f"postgresql+psycopg://search:secret@127.0.0.1:{self.port}/postgres"
        try:
            self("init", "-o", "--username=search --auth=trust --no-sync --locale=C --encoding=UTF8")
            self("start")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"PostgreSQL can't be started here: {error.output}")

    def __call__(self, *command):
        options = f"-p {self.port} -h 127.0.0.1 -k {self.folder} -F"
        starts = ["-w", "-o", options, "-l", f"{self.folder}/log"] if command[0] in ("start", "restart") else []
        subprocess.run(
            [self.pg_ctl, "-D", f"{self.folder}/data", *starts, *command, "-s"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
            cwd=self.folder,
            **self.user,
        )

    def end(self):
        self("stop", "-m", "immediate")
        shutil.rmtree(self.folder)
