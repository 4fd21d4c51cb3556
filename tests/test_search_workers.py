"""The same accuracies wherever networks are evaluated: here, or by actors of a real Ray cluster that lose some."""

import functools
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pytest

from search.storage import evaluate_shared, open_study
from search.workers import Here, OnRay, WorkersError, on_ray
from supernet import SpecError, load_space

PROJECT = Path(__file__).parent.parent


def _by_task(results):
    return {result.position: result.accuracy for result in results}


def _make(folder):
    """What is said with each task is done with it. Functions inside a function travel by value."""

    def make():
        import os
        import signal
        import time

        calls = []

        def evaluate(tasks):
            return [one(*task) for task in tasks]

        def one(number, does):
            calls.append(number)
            with open(f"{folder}/calls", "a") as file:
                file.write(f"{number} {os.getpid()}\n")
            if does == "dies" or (does == "dies once" and not os.path.exists(f"{folder}/died{number}")):
                open(f"{folder}/died{number}", "w").close()
                os.kill(os.getpid(), signal.SIGKILL)
            if does == "takes long":
                time.sleep(60)
            if does == "fails":
                raise RuntimeError("out of\nmemory")
            time.sleep(0.01)
            return number if does == "" else float("nan") if does == "has no number" else number + 0.25

        return evaluate

    return make


# --- here ----------------------------------------------------------------------------------------------------------


def test_here():
    taken = []

    def tasks():
        for task in range(3):
            taken.append(task)
            yield task

    with Here(lambda tasks: [np.float32(task) / 2 for task in tasks]) as here:
        for result in here.evaluate(tasks()):
            assert taken == list(range(result.position + 1))
            assert result.accuracy == result.position / 2
            assert 0 <= result.seconds < 1
            assert result.worker.endswith(f":{os.getpid()}")
        assert taken == [0, 1, 2]
        assert list(here.evaluate([])) == []


@pytest.mark.parametrize("found", [float("nan"), None, "70", [70.0], True])
def test_no_accuracy(found):
    with pytest.raises(SpecError, match=r"^accuracy: .* can't stand here: expected a number"):
        list(Here(lambda tasks: [found]).evaluate([1]))


def test_groups():
    """A function that gets several at once; the last group has what is left."""
    groups = []

    def halves(tasks):
        groups.append(tasks)
        return [task / 2 for task in tasks]

    found = list(Here(halves, at_once=3).evaluate(iter(range(7))))
    assert groups == [[0, 1, 2], [3, 4, 5], [6]]
    assert [(result.position, result.accuracy) for result in found] == [(task, task / 2) for task in range(7)]


def test_no_cluster_there():
    with pytest.raises(SpecError, match=r"^workers.address: no Ray cluster answers at '127.0.0.1:1': .*refused$"):
        OnRay(_make(""), address="127.0.0.1:1")


# --- on Ray --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster():
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=80 * 2**20)
    yield ray
    ray.shutdown()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def two(cluster, folder):
    with OnRay(_make(folder), number=2, cpus=0.5) as workers:
        yield workers


def _calls(folder):
    return [line.split() for line in (folder / "calls").read_text().splitlines()]


@pytest.mark.slow
def test_two_actors(two, folder):
    found = list(two.evaluate((number, "") for number in range(40)))
    assert _by_task(found) == {number: float(number) for number in range(40)}
    assert len({result.worker for result in found}) == 2
    assert sorted(int(number) for number, _ in _calls(folder)) == list(range(40))
    assert list(two.evaluate([])) == []


@pytest.mark.slow
def test_specs_as_here(cluster):
    """Tasks may be anything that can be pickled. What a user can mend comes through as it was, at once."""
    space = load_space("tiny")
    specs = [space.sample(random.Random(seed)) for seed in range(6)]

    def make(largest):
        from supernet import SpecError

        def evaluate(specs):
            for spec in specs:
                if spec.resolution > largest:
                    raise SpecError("resolution", f"{spec.resolution} is more than {largest}")
            return [spec.stem.width / 3 for spec in specs]

        return evaluate

    with OnRay(functools.partial(make, 32), cpus=0) as workers:
        there = _by_task(workers.evaluate(specs))
        assert there == _by_task(Here(make(32)).evaluate(specs))
        assert len(set(there.values())) > 1
        wrong = msgspec.structs.replace(specs[0], resolution=64)
        with pytest.raises(SpecError, match=r"^resolution: 64 is more than 32$"):
            list(workers.evaluate([wrong]))


@pytest.mark.slow
def test_groups_of_actors(cluster, tmp_path):
    """Of which one is killed in the middle of its group: the whole group is evaluated again."""
    tasks = [(4000 + number, "dies once" if number == 4 else "") for number in range(8)]
    with OnRay(_make(tmp_path), cpus=0, at_once=3) as workers:
        found = _by_task(workers.evaluate(tasks))
    assert found == {number: 4000.0 + number + 0.25 * (number == 4) for number in range(8)}
    times = Counter(int(number) for number, _ in _calls(tmp_path))
    assert [times[4000 + number] for number in range(8)] == [1, 1, 1, 2, 2, 1, 1, 1]


@pytest.mark.slow
def test_an_actor_that_is_killed(two, folder, tmp_path):
    """In the middle of an evaluation, which is done again by another one; all are kept, once."""
    codes = np.arange(24, dtype=np.int32)[:, None]
    with open_study(f"sqlite:///{tmp_path}/study.db", "s", ["maximize"], ["accuracy"], {"space": "tiny"}) as records:
        found = evaluate_shared(
            records,
            codes,
            two,
            lambda index: (1000 + index, "dies once" if index in (5, 14) else ""),
            lambda index, accuracy: (accuracy,),
        )
        assert len(records.known()) == 24
    assert found.tolist() == [1000.25 + index if index in (5, 14) else 1000.0 + index for index in range(24)]
    times = Counter(int(number) for number, _ in _calls(folder))
    repeated = {number - 1000 for number, count in times.items() if count > 1}
    assert repeated >= {5, 14}
    assert len(repeated) <= 4  # an answer may be on its way when its actor dies


@pytest.mark.slow
def test_errors(two, folder):
    """What fails is tried three times, by whomever."""
    with pytest.raises(WorkersError, match=r"^the evaluation of a network failed 3 times: memory$"):
        list(two.evaluate([(2000, ""), (2001, "fails")]))
    with pytest.raises(SpecError, match=r"^accuracy: nan can't stand here: expected a number$"):
        list(two.evaluate([(2003, "has no number")]))
    with pytest.raises(WorkersError, match=r"^the evaluation of a network failed 3 times: .+$") as caught:
        list(two.evaluate([(2004, "dies")]))
    assert "\n" not in str(caught.value)
    times = Counter(int(number) for number, _ in _calls(folder))
    assert [times[number] for number in (2001, 2003, 2004)] == [3, 1, 3]
    assert _by_task(two.evaluate([(2005, "")])) == {0: 2005.0}


@pytest.mark.slow
def test_what_is_not_waited_for(two):
    """A loop that is left early leaves nobody busy with it."""
    for result in two.evaluate([(3000, ""), (3001, "takes long")]):
        assert result.accuracy == 3000
        break
    began = time.monotonic()
    assert _by_task(two.evaluate([(3002, ""), (3003, "")])) == {0: 3002.0, 1: 3003.0}
    assert time.monotonic() - began < 30


@pytest.mark.slow
def test_workers_that_cannot_be_made(cluster, monkeypatch):
    def broken():
        raise RuntimeError("no such\ndevice")

    def kills():
        import os

        os._exit(1)

    monkeypatch.setattr(on_ray, "ATTEMPTS", 1)
    for make, said in ((broken, "^a worker can't evaluate: device$"), (kills, "^workers die again and again: ")):
        with OnRay(make, cpus=0) as workers, pytest.raises(WorkersError, match=said):
            list(workers.evaluate([1]))


@pytest.mark.slow
def test_more_than_the_cluster_has(cluster):
    with pytest.raises(SpecError, match=r"^workers.cpus: 3 actors with 1 each need 3 CPUs; Ray has 2"):
        OnRay(_make(""), number=3)
    with pytest.raises(SpecError, match=r"^workers.gpus: 1 actors with 0.5 each need 0.5 GPUs; Ray has 0"):
        OnRay(_make(""), gpus=0.5)
    assert cluster.is_initialized()


SEARCH = """
import sys, search.storage
from search.workers import OnRay

print({"ray", "optuna", "grpc", "sqlalchemy"} & set(sys.modules), flush=True)

def make():
    def evaluate(tasks):
        import time
        time.sleep(0 if tasks[0] < 2 else 60)
        return tasks
    return evaluate

with OnRay(make, cpus=0.25, address=sys.argv[1]) as workers:
    for result in workers.evaluate(range(4)):
        print(result.accuracy, flush=True)
"""


@pytest.mark.slow
def test_ctrl_c(cluster):
    """A search by another process on the cluster that runs already; when it is stopped, the cluster is free again."""
    address = cluster.get_runtime_context().gcs_address
    before = cluster.available_resources().get("CPU", 0)
    search = subprocess.Popen(
        [sys.executable, "-c", SEARCH, address],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert search.stdout.readline() == "set()\n", "what is heavy is imported where it is used"
    assert [search.stdout.readline() for _ in range(2)] == ["0.0\n", "1.0\n"]
    assert cluster.available_resources().get("CPU", 0) == before - 0.25
    search.send_signal(signal.SIGINT)
    _, said = search.communicate(timeout=30)
    assert search.returncode in (1, 130, -signal.SIGINT), said
    ends = time.monotonic() + 20
    while cluster.available_resources().get("CPU", 0) != before:
        assert time.monotonic() < ends
        time.sleep(0.1)
