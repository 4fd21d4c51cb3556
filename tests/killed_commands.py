"""Runs commands of latency_lut in forks of a process that has imported everything but run nothing, and kills them.

    python -m tests.killed_commands

reads one JSON list of runs a line, starts them all at once, and writes how each ended. A run is a dict:

    arguments                 of the command line
    dies_at, files            the number of a line of these files before which it kills itself (SIGKILL)
    dies_after_s              when it is killed
    dies_at_byte              it is killed (SIGXFSZ) in the middle of the write that makes a file larger than this
    device                    keywords of a made-up device
    is_quick                  exported files are random numbers
    ends_workers              each process that exports ends at once
    forks, renewed            worker processes cost no import; how many items each of them gets

tests/test_latency_killed.py says what must come out.
"""

import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

from supernet.whole_files import write_whole

ROOT = Path(__file__).parent.parent


class Commands:
    """The other end: starts that process, and speaks with it."""

    def __init__(self):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.killed_commands"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.imported = json.loads(self.process.stdout.readline())
        """What of `HEAVY` the command line imports before it knows what to do."""

    def together(self, *runs):
        """What became of each: `status` (negative: the signal that ended it), `said`, `lines`, `seconds`."""
        runs = [run | {"arguments": list(map(str, run["arguments"]))} for run in runs]
        self.process.stdin.write(json.dumps(runs) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __call__(self, *arguments, **options):
        (found,) = self.together({"arguments": arguments, **options})
        return found

    def close(self):
        self.process.kill()  # it has nothing to put in order
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def start(run):
    """Process, the file of what it says, when it began."""
    said = tempfile.TemporaryFile()  # noqa: SIM115  closed where it is read
    child = os.fork()
    if not child:
        os.setsid()  # its workers are found by their group
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        os.close(0)
        status = 1
        try:
            status = execute(run)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    return child, said, time.monotonic()


def end(run, child, said, began):
    if "dies_after_s" in run:
        time.sleep(max(0, began + run["dies_after_s"] - time.monotonic()))
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    seconds = time.monotonic() - began
    while status < 0 and group(child):
        assert time.monotonic() < began + seconds + 20, "its worker processes did not end"
        time.sleep(0.02)
    said.seek(0)
    text = said.read().decode()
    said.close()
    text, _, lines = text.partition(LINES)
    return {"status": status, "said": text, "lines": int(lines or 0), "seconds": seconds}


LINES = "\nlines run: "


def group(leader):
    """Running processes of its group, where the system tells."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of_group = file.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it has ended
            continue
        if int(of_group) == leader and state != "Z":
            found.append(file)
    return found


def execute(run):
    import latency_lut.command
    import latency_lut.exporting
    from latency_lut.__main__ import main

    if "device" in run:
        latency_lut.command.make_device = lambda args: made_up(**run["device"])
    if run.get("is_quick"):
        latency_lut.exporting._export_one = random_file
    if run.get("ends_workers"):
        latency_lut.exporting._export_one = lambda *task: os._exit(1)
    if run.get("forks"):
        context = latency_lut.exporting.multiprocessing.get_context("fork")
        latency_lut.exporting.multiprocessing.get_context = lambda method: context
    if "renewed" in run:
        latency_lut.exporting.FEW, latency_lut.exporting.RENEWED = 0, run["renewed"]
    if "dies_at_byte" in run:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (run["dies_at_byte"], resource.RLIM_INFINITY))
    count = Lines(run.get("files", []), run.get("dies_at"))
    sys.settrace(count.called)
    status = main(run["arguments"])
    sys.settrace(None)
    print(f"{LINES}{count.seen}")
    return status


def made_up(model="none", pause_ms=0.0, slow=0.0, seed=0):
    """`slow`: the share of times at which it takes a third more. `pause_ms`: up to so long it really waits."""
    from tests.test_latency_measuring import Scripted

    class Unsteady(Scripted):
        def ready(self, item, file, batch):
            time.sleep(rng.uniform(0, pause_ms / 1e3))
            self.speed = 0.75 if rng.random() < slow else 1.0
            return super().ready(item, file, batch)

    rng = random.Random(seed)
    return Unsteady(model=model)


def random_file(item, folder, form, options):
    content = os.urandom(32)
    time.sleep(0.005)
    write_whole(folder / f"{item.id}.onnx", content)
    return {"id": item.id, "what": "random numbers", "sha256": hashlib.sha256(content).hexdigest()}


class Lines:
    """Counts the lines that are run of some files, in the main thread of this process."""

    def __init__(self, files, dies_at):
        self.files, self.dies_at, self.seen = {str(ROOT / file) for file in files}, dies_at, 0
        os.register_at_fork(after_in_child=lambda: sys.settrace(None))

    def called(self, frame, event, argument):
        return self.line if frame.f_code.co_filename in self.files else None

    def line(self, frame, event, argument):
        self.seen += event == "line"
        if self.seen == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.line


HEAVY = {"onnx", "onnxruntime", "onnxscript", "coremltools", "matplotlib", "scipy"}


def serve():
    import latency_lut.__main__  # noqa: F401

    print(json.dumps(sorted(HEAVY & set(sys.modules))), flush=True)
    import onnx  # noqa: F401
    import onnxscript.optimizer  # noqa: F401

    import deploy  # noqa: F401
    import tests.test_latency_measuring  # noqa: F401

    for line in sys.stdin:
        runs = json.loads(line)
        started = [(run, *start(run)) for run in runs]
        print(json.dumps([end(*one) for one in started]), flush=True)


if __name__ == "__main__":
    serve()
