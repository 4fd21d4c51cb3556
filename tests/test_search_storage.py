"""Evaluations in a study: nothing lost and nothing done twice, whoever is killed, on real storages of three kinds."""

import contextlib
import json
import multiprocessing
import os
import signal
import socket
import sqlite3
import subprocess
import time
import zlib
from collections import Counter
from multiprocessing import forkserver
from wsgiref.util import setup_testing_defaults

import numpy as np
import pytest
from postgres_server import Postgres, free_port

from search.storage import Evaluation, StorageError, evaluate_shared, file_url, leases, open_study
from search.storage.owner import Owner, is_running, this_process
from search.workers import Here
from supernet import SpecError

GENES, BATCH, ROUNDS = 6, 16, 3
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["pytest", "search.storage", "optuna.storages._rdb.models", "alembic.config"])


def _open(url, name="search", problem=None, **options):
    problem = problem or {"space": "tiny", "images": 500}
    return open_study(url, name, ["maximize", "minimize"], ["accuracy", "params"], problem, **options)


def _codes(number, seed=0):
    return np.random.default_rng(seed).integers(0, 9, (number, GENES)).astype(np.int32)


def _accuracy(code):
    return 50 + zlib.crc32(code.tobytes()) % 4000 / 100


def _trials(url, name="search"):
    import optuna

    return optuna.load_study(study_name=name, storage=url).trials


def _states(url, name="search"):
    return Counter(trial.state.name for trial in _trials(url, name))


def _serve(url, port):
    from optuna.storages import get_storage, run_grpc_proxy_server

    run_grpc_proxy_server(get_storage(url), host="127.0.0.1", port=port)


@pytest.fixture(scope="module")
def postgres():
    server = Postgres()
    yield server
    server.end()


@pytest.fixture(scope="module", autouse=True)
def _ready_for_processes():
    forkserver.ensure_running()  # what it imports, it imports while the first tests run


@pytest.fixture
def grpc(tmp_path):
    """A proxy before SQLite."""
    port = free_port()
    server = PROCESSES.Process(target=_serve, args=(f"sqlite:///{tmp_path}/behind.db", port), daemon=True)
    server.start()
    while socket.socket().connect_ex(("127.0.0.1", port)):
        assert server.is_alive()
        time.sleep(0.02)
    yield f"grpc://127.0.0.1:{port}"
    server.kill()
    server.join()


@pytest.fixture
def url(tmp_path):
    return file_url(tmp_path / "study.db")


@pytest.fixture(params=["sqlite", "postgres", "grpc"])
def any_url(request, url):
    if request.param == "sqlite":
        return url
    return request.getfixturevalue("postgres").url if request.param == "postgres" else request.getfixturevalue("grpc")


# --- one process ---------------------------------------------------------------------------------------------------


def test_claims(any_url):
    codes = _codes(5)
    twice = np.concatenate([codes, codes[::-1]])
    with _open(any_url, "claims", asked_by="evolution 0") as ours:
        with _open(any_url, "claims") as theirs:
            assert ours.claim(codes[:2]) == [0, 1]
            assert ours.claim(codes[:2]) == []
            assert len(theirs.claim(twice, 2)) == 2
            assert len(theirs.claim(codes)) == 1
            assert ours.claim(twice) == []
            assert ours.add(codes[0], 71.5, (71.5, 3.0), seconds=2.0, images=500, worker="host:1")
            assert ours.known() == {
                codes[0].tobytes(): Evaluation(71.5, 2.0, (71.5, 3.0), 0, 500, "host:1", "evolution 0")
            }
            assert theirs.known() == ours.known()
            assert theirs.add(codes[3], 60.0, (60.0, 2.0))
        assert sorted(ours.claim(codes)) == [2, 4]
        with pytest.raises(AssertionError, match="only what was claimed"):
            ours.add(codes[3], 60.0, (60.0, 2.0))
    with _open(any_url, "claims") as again:
        assert {key: found.accuracy for key, found in again.known().items()} == {
            codes[0].tobytes(): 71.5,
            codes[3].tobytes(): 60.0,
        }
        assert sorted(again.claim(codes)) == [1, 2, 4]


def test_shared(url):
    codes = _codes(40)
    codes[7] = codes[3]
    told = {}
    with _open(url) as records:

        def evaluate(rows, first):
            return evaluate_shared(
                records,
                codes[rows],
                Here(lambda codes: [_accuracy(code) for code in codes]),
                lambda index: codes[rows][index],
                lambda index, accuracy: (accuracy, float(index)),
                progress=lambda index, found: told.setdefault((first, index), found.accuracy),
            )

        assert evaluate(slice(0, 8), 0).tolist() == [_accuracy(code) for code in codes[:8]]
        assert evaluate(slice(0, 40), 1).tolist() == [_accuracy(code) for code in codes]
        assert len(told) == 48
        assert evaluate(slice(0, 0), 2).tolist() == []
    assert _states(url) == {"COMPLETE": 39}
    assert [trial.user_attrs["network"]["code"] for trial in _trials(url)][:3] == codes[:3].tolist()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"problem": {"space": "tiny", "images": 100}}, "images is 500 there, 100 here"),
        ({"problem": {"space": "tiny"}}, "images is 500 there, None here"),
        ({"metric_names": ["accuracy", "macs"]}, r"objectives is \['accuracy', 'params'\] there, .*'macs'\] here"),
        ({"directions": ["maximize", "maximize"]}, r"directions is \['maximize', 'minimize'\] there"),
    ],
)
def test_another_problem(change, said, url):
    options = {"directions": ["maximize", "minimize"], "metric_names": ["accuracy", "params"]}
    options |= {"problem": {"space": "tiny", "images": 500}} | change
    open_study(url, "search", **options).close()  # where nothing was evaluated, there is no problem yet
    with _open(url) as records:
        code = _codes(1)
        assert records.claim(code) == [0]
        records.add(code[0], 71.5, (71.5, 3.0))
    with pytest.raises(SpecError, match=rf"^storage: the study 'search' in sqlite.* is of another problem: {said}"):
        open_study(url, "search", **options)
    _open(url).close()


def test_a_problem_that_was_not_yet_written(url):
    """Two searches that begin at once: what one of them evaluated is not taken for the other's."""
    code = _codes(1)
    with _open(url) as ours:
        ours.claim(code)
        ours.add(code[0], 60.0, (60.0, 1.0))
        import optuna

        optuna.load_study(study_name="search", storage=url).set_user_attr("problem", {"space": "other"})
    with (
        _open(url, problem={"space": "other"}) as theirs,
        pytest.raises(StorageError, match=r"trial 0 of .* is of another problem"),
    ):
        theirs.known()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("study.db", "'study.db' is no URL such as sqlite:///FILE"),
        ("sqlite://", "sqlite:// keeps nothing"),
        ("sqlite:////no/such/folder/a.db", "sqlite:.* there is no folder /no/such/folder"),
        ("sqlite:////tmp", "sqlite:.* /tmp is a folder, not a file"),
        ("oracel://me:secret@host/a", r"oracel://me:\*\*\*@host/a: this kind of database is unknown"),
        ("mysql+pymysql://me:secret@host/a", r"mysql\+pymysql://me:\*\*\*@host/a needs a package that is not here"),
        ("grpc://host", "'grpc://host' is not of the form grpc://HOST:PORT"),
    ],
)
def test_wrong_addresses(address, said):
    with pytest.raises(SpecError, match=f"^storage: {said}") as caught:
        _open(address)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["grpc://127.0.0.1:1", "postgresql+psycopg://me:secret@127.0.0.1:1/a"])
def test_nobody_answers(address):
    with pytest.raises(StorageError, match=r"^storage: .*127.0.0.1:1(/a)? has not answered for") as caught:
        _open(address, patience_s=0.3)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a b#%20.db", "a?b&c.db", "{0}.db", "ä@:1.db"])
def test_names_of_files(name, tmp_path):
    _open(file_url(tmp_path / name)).close()
    assert (tmp_path / name).is_file()


def test_not_a_database(tmp_path):
    (tmp_path / "a.db").write_text("something else" * 100)
    with pytest.raises(StorageError, match=r"^storage: sqlite:.*a.db is no study, or damaged: file is not a database"):
        _open(f"sqlite:///{tmp_path}/a.db", patience_s=0.2)


def test_locked_by_another_process(url, tmp_path):
    code = _codes(1)
    with _open(url, patience_s=0.3) as records:
        records.claim(code)
        with contextlib.closing(sqlite3.connect(tmp_path / "study.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StorageError, match=r"^storage: sqlite.* has not answered for .*database is locked"):
                records.add(code[0], 60.0, (60.0, 1.0))
            other.rollback()
        assert records.add(code[0], 60.0, (60.0, 1.0))


def test_answers_that_are_lost(url):
    """What was done, although the storage could not say so any more, is neither lost nor done twice."""
    from sqlalchemy.exc import OperationalError

    def loses_first_answer(call):
        calls = []

        def wrapped(*args, **options):
            found = call(*args, **options)
            calls.append(found)
            if len(calls) == 1:
                raise OperationalError("", {}, ConnectionError("server closed the connection"))
            return found

        return wrapped

    codes = _codes(3)
    with _open(url) as records:
        for name in ("create_new_trial", "set_trial_state_values"):
            setattr(records.storage, name, loses_first_answer(getattr(records.storage, name)))
        assert records.claim(codes) == [0, 1, 2]
        assert all(records.add(code, 60.0, (60.0, 1.0)) for code in codes)
        assert len(records.known()) == 3
    assert _states(url) == {"COMPLETE": 3, "PRUNED": 1}


def test_somebody_is_faster(url):
    """Between our look and our claim, others claim one network and finish another; we withdraw."""
    codes = _codes(4)
    with _open(url) as ours, _open(url) as theirs:
        create = ours.storage.create_new_trial

        def late(*args, **options):
            if not theirs.known():
                assert theirs.claim(codes[:2]) == [0, 1]
                assert theirs.add(codes[0], 60.0, (60.0, 1.0))
            return create(*args, **options)

        ours.storage.create_new_trial = late
        assert ours.claim(codes, 3) == [2, 3]
        assert len(ours.known()) == 1
        assert _states(url) == {"COMPLETE": 1, "RUNNING": 3, "PRUNED": 2}


# --- owners --------------------------------------------------------------------------------------------------------


def test_is_running():
    ours = this_process()
    assert is_running(ours)
    ended = subprocess.Popen(["true"])
    ended.wait()
    owner = {name: getattr(ours, name) for name in ours.__struct_fields__}
    assert is_running(Owner(**owner | {"pid": ended.pid})) is False
    assert is_running(Owner(**owner | {"machine": "elsewhere"})) is None
    assert is_running(Owner(**owner | {"started": "1"})) is False
    assert is_running(Owner(**owner | {"started": ""})) is None


def _elsewhere(token):
    return Owner("elsewhere", 1, "elsewhere 1", "1", token)


def test_a_lease_that_ran_out(url):
    """Another computer that says nothing has lost its claims; when it wakes up, what it brings is not counted."""
    codes = _codes(2)
    with _open(url, owner=_elsewhere("a"), lease_s=1000) as asleep, _open(url, lease_s=0.5) as ours:
        assert asleep.claim(codes) == [0, 1]
        assert ours.claim(codes) == []
        began = time.monotonic()
        ours.wait(codes)
        assert 0.5 < time.monotonic() - began < 10
        assert sorted(ours.claim(codes)) == [0, 1]
        assert not asleep.add(codes[0], 60.0, (60.0, 1.0))  # before it has looked
        assert all(ours.add(code, 61.0, (61.0, 1.0)) for code in codes)
        assert not asleep.add(codes[1], 60.0, (60.0, 1.0))
        assert [found.accuracy for found in asleep.known().values()] == [61.0, 61.0]
    assert _states(url) == {"COMPLETE": 2, "FAIL": 2}


def test_who_does_not_listen_hears_nothing(monkeypatch):
    """The time in which we were busy is not held against others; whose sign of life changes begins anew."""
    clock = [0]
    monkeypatch.setattr(leases.time, "monotonic", lambda: clock[0])
    silence, over = leases.Silence(60.0), []
    for seconds, beat in [(0, 1), (1000, 1), (2000, 1), (2050, 2), *((2050 + 10 * step, 2) for step in range(1, 9))]:
        clock[0] = seconds
        assert silence.is_due
        silence.listen({"a": beat}, [(7, "a")])
        over.append(silence.is_over(7))
    assert over == [False] * 10 + [True] * 2
    assert not silence.is_over(8)
    assert not silence.is_due


def test_signs_of_life(url):
    """Another computer that is slow keeps its claims."""
    codes = _codes(2)
    with _open(url, owner=_elsewhere("b"), lease_s=0.4) as slow, _open(url, lease_s=0.8) as ours:
        assert slow.claim(codes) == [0, 1]
        ends = time.monotonic() + 2.0
        while time.monotonic() < ends:
            assert ours.claim(codes) == []
            time.sleep(0.02)
        assert slow.add(codes[0], 60.0, (60.0, 1.0))
        slow.close()
        ours.wait(codes)
        assert ours.claim(codes) == [1]


# --- several processes ---------------------------------------------------------------------------------------------


def _search(url, folder, name, pause_s):
    """Each batch depends on all that was found before: who sees something else asks for something else."""
    me = f"{name} {os.getpid()}"

    def evaluate(codes):
        (code,) = codes
        time.sleep(pause_s)
        with (folder / "evaluated").open("a") as log:
            log.write(f"{code.tolist()} {me}\n")
        return [_accuracy(code)]

    seen, codes = [], _codes(BATCH)
    with _open(url, "race", asked_by=name, patience_s=60) as records:
        for _ in range(ROUNDS):
            batch = codes
            found = evaluate_shared(
                records,
                batch,
                Here(evaluate),
                lambda index, batch=batch: batch[index],
                lambda index, accuracy: (accuracy, float(index)),
            )
            seen += found.tolist()
            codes = ((batch + found.astype(np.int32)[:, None]) % 9 + len(seen)).astype(np.int32)
    (folder / f"{name}.json").write_text(json.dumps(seen))


class Searches:
    """Processes that search at the same time; `evaluated` is what they did, in that order."""

    def __init__(self, url, folder, pause_s=0.03):
        self.url, self.folder, self.pause_s = url, folder, pause_s
        self.running = {}

    def start(self, *names):
        for name in names:
            self.running[name] = PROCESSES.Process(target=_search, args=(self.url, self.folder, name, self.pause_s))
            self.running[name].start()

    def evaluated(self):
        file = self.folder / "evaluated"
        return [line.partition("] ")[::2] for line in file.read_text().splitlines()] if file.exists() else []

    def wait_for(self, number):
        ends = time.monotonic() + 60
        while len(self.evaluated()) < number:
            assert time.monotonic() < ends
            time.sleep(0.01)

    def end(self, *names):
        """The accuracies that each has seen."""
        found = []
        for name in names:
            self.running[name].join(60)
            assert self.running[name].exitcode == 0
            found.append(json.loads((self.folder / f"{name}.json").read_text()))
        return found

    def check(self, *seen, twice=0):
        """Everything is there once, and no more than `twice` were evaluated twice."""
        assert all(one == seen[0] for one in seen)
        times = Counter(code for code, _ in self.evaluated())
        assert sum(times.values()) - len(times) <= twice
        with _open(self.url, "race") as records:
            assert len(records.known()) == len(times) == len(set(seen[0]))
            counted = [trial for trial in _all_trials(records) if trial.state.name == "COMPLETE"]
            assert len(counted) == len(times)


def _all_trials(records):
    return records.storage.get_all_trials(records.storage.get_study_id_from_name("race"))


@pytest.mark.slow
def test_two_processes(any_url, request, tmp_path):
    """Both see the same, and each did a part. In the middle, PostgreSQL is stopped and started again."""
    searches = Searches(any_url, tmp_path)
    searches.start("a", "b")
    if any_url.startswith("postgresql"):
        searches.wait_for(12)
        request.getfixturevalue("postgres")("restart", "-m", "fast")
    searches.check(*searches.end("a", "b"))
    parts = Counter(who.split()[0] for _, who in searches.evaluated())
    assert min(parts["a"], parts["b"]) >= 5


@pytest.mark.slow
def test_one_is_killed(url, tmp_path):
    """The other goes on at once with what it left; later, somebody who begins again has nothing to do."""
    searches = Searches(url, tmp_path)
    searches.start("a", "b")
    searches.wait_for(10)
    os.kill(searches.running["a"].pid, signal.SIGKILL)
    (seen,) = searches.end("b")
    searches.check(seen, twice=1)
    before = len(searches.evaluated())
    searches.start("c")
    searches.check(seen, *searches.end("c"), twice=1)
    assert len(searches.evaluated()) == before


@pytest.mark.slow
def test_killed_again_and_again(url, tmp_path):
    searches = Searches(url, tmp_path, pause_s=0.01)
    for killed in range(2):
        searches.start("a")
        searches.wait_for(7 + 20 * killed)
        searches.running["a"].kill()
        searches.running["a"].join()
    searches.start("a")
    searches.check(*searches.end("a"), twice=2)


# --- optuna-dashboard ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_dashboard(url):
    dashboard = pytest.importorskip("optuna_dashboard")
    codes = _codes(3)
    with _open(url, asked_by="evolution 0") as records:
        records.claim(codes)
        for index in range(2):
            records.add(codes[index], 60.0 + index, (60.0 + index, 3.0))
        app = dashboard.wsgi(url)

        def get(path):
            answers, environment = [], {"PATH_INFO": path}
            setup_testing_defaults(environment)
            body = b"".join(app(environment, lambda status, *_: answers.append(status)))
            assert answers[0].startswith("200"), body
            return json.loads(body)

        (study,) = get("/api/studies")["study_summaries"]
        assert (study["study_name"], study["directions"]) == ("search", ["maximize", "minimize"])
        found = get(f"/api/studies/{study['study_id']}")
        assert found["objective_names"] == ["accuracy", "params"]
        assert [(trial["state"], trial.get("values")) for trial in found["trials"]] == [
            ("Complete", [60.0, 3.0]),
            ("Complete", [61.0, 3.0]),
            ("Running", None),
        ]
        attributes = {one["key"]: one["value"] for one in found["trials"][1]["user_attrs"]}
        assert "evolution 0" in attributes["network"]
