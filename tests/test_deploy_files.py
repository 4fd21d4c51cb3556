"""Folders that are there as a whole or not at all, whatever happens in between."""

import hashlib
import os
import subprocess
import sys

import pytest

from deploy import ExportError
from deploy.files import content_bytes, content_hash, whole_folder


def fill(folder, text):
    (folder / "inner").mkdir()
    (folder / "inner" / "a").write_text(text)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def made(tmp_path):
    with whole_folder(tmp_path / "made") as folder:
        fill(folder, "old")
        assert not (tmp_path / "made").exists()
    return tmp_path / "made"


def test_a_folder_is_replaced(made, tmp_path):
    with whole_folder(made) as folder:
        fill(folder, "new")
        assert (made / "inner" / "a").read_text() == "old"
    assert (made / "inner" / "a").read_text() == "new"
    assert names(tmp_path) == ["made"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_folder(error, made, tmp_path):
    def fail(folder):
        fill(folder, "new")
        raise error

    with pytest.raises(error), whole_folder(made) as folder:
        fail(folder)
    assert (made / "inner" / "a").read_text() == "old"
    assert names(tmp_path) == ["made"]


def test_a_failing_rename_leaves_the_old_folder(made, tmp_path):
    with pytest.raises(ExportError, match="made can't be written: No such file"), whole_folder(made) as folder:
        folder.rmdir()  # so that the second of two renames fails
    assert (made / "inner" / "a").read_text() == "old"
    assert names(tmp_path) == ["made"]


def test_what_a_killed_process_left_is_removed(made, tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    alive = os.getppid()
    for pid in (dead.pid, os.getpid(), alive):
        (tmp_path / f".made.tmp-{pid}").mkdir()
        (tmp_path / f".other.tmp-{pid}").mkdir()
    with whole_folder(made) as folder:
        fill(folder, "new")
    others = [f".other.tmp-{pid}" for pid in (dead.pid, os.getpid(), alive)]
    assert names(tmp_path) == sorted([*others, f".made.tmp-{alive}", "made"])


def test_hash_is_that_of_names_and_contents(made, tmp_path):
    first = content_hash(made)
    assert content_bytes(made) == 3
    (made / "inner" / "a").rename(made / "inner" / "b")
    renamed = content_hash(made)
    (made / "inner" / "b").rename(made / "inner" / "a")
    assert content_hash(made) == first
    (made / "inner" / "a").write_text("new")
    changed = content_hash(made)
    (made / "empty").write_text("")
    assert len({first, renamed, changed, content_hash(made)}) == 4
    (tmp_path / "file").write_text("old")
    assert content_hash(tmp_path / "file") == hashlib.sha256(b"old").hexdigest()
