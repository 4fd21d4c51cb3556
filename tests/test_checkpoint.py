"""Checkpoints: whole or refused, and always one to continue from."""

import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import time

import pytest
import torch

from training.checkpoint import CheckpointError, best_checkpoint, load_checkpoint, load_latest, save_checkpoint

EXPECT = {"space": "tiny", "seed": "3"}


def _state(step, size=1000):
    numbers = torch.Generator().manual_seed(step)
    return {
        "written_for": {"space": "tiny", "seed": 3, "more": "x"},
        "model": {"weight": torch.randn(size, generator=numbers), "half": torch.ones(3, dtype=torch.bfloat16)},
        "optimizer": [{"lr": 1e-3, "betas": (0.9, 0.99), "step": torch.tensor(step)}],
        "random": torch.get_rng_state(),
        "step": step,
        "best": None,
    }


def _save(folder, step, score=None, keep_last=2, keep_best=True, size=1000):
    return save_checkpoint(folder, _state(step, size), step=step, score=score, keep_last=keep_last, keep_best=keep_best)


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def _is_whole(state):
    numbers = torch.Generator().manual_seed(state["step"])
    return torch.equal(state["model"]["weight"], torch.randn(len(state["model"]["weight"]), generator=numbers))


def test_what_is_saved_comes_back(tmp_path):
    assert load_latest(tmp_path / "none", expect=EXPECT) is None
    path = _save(tmp_path / "checkpoints", 1200, score=0.5)
    assert path.name == "step_00001200.pt"
    state, found = load_latest(path.parent, expect=EXPECT)
    assert found == path
    expected = _state(1200)
    assert state.keys() == expected.keys()
    assert torch.equal(state["model"]["weight"], expected["model"]["weight"])
    assert state["model"]["half"].dtype == torch.bfloat16
    assert state["optimizer"][0]["betas"] == (0.9, 0.99)
    assert torch.equal(torch.load(path, weights_only=True)["random"], expected["random"])  # an ordinary torch file
    assert load_checkpoint(path)["step"] == 1200


def test_the_newest_and_the_best_are_kept(tmp_path):
    scores = {10: 0.1, 20: 0.7, 30: None, 40: 0.7, 50: float("nan"), 60: 0.3, 70: None}
    for step, score in scores.items():
        _save(tmp_path, step, score)
    assert _names(tmp_path) == ["index.json", "step_00000040.pt", "step_00000060.pt", "step_00000070.pt"]
    assert best_checkpoint(tmp_path).name == "step_00000040.pt"
    index = json.loads((tmp_path / "index.json").read_text())
    assert (index["latest"], index["best"]) == ("step_00000070.pt", "step_00000040.pt")
    assert [(row["step"], row["score"]) for row in index["checkpoints"]] == [(40, 0.7), (60, 0.3), (70, None)]
    _save(tmp_path, 80, 0.1, keep_last=1, keep_best=False)
    assert _names(tmp_path) == ["index.json", "step_00000080.pt"]


def _cut(data, rng):
    return data[: rng.randrange(len(data))]


def _flip(data, rng):
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]


def _longer(data, rng):
    return data + bytes(rng.randrange(1, 100))


def _hole(data, rng):
    start = rng.randrange(len(data) - 600)
    return data[:start] + bytes(512) + data[start + 512 :]


@pytest.mark.parametrize("damage", [_cut, _flip, _longer, _hole])
def test_damage_is_seen_and_the_one_before_is_taken(damage, tmp_path, caplog):
    before, newest = _save(tmp_path, 1), _save(tmp_path, 2)
    whole = newest.read_bytes()
    rng = random.Random(0)
    for _ in range(100):
        damaged = damage(whole, rng)
        if damaged == whole:
            continue
        newest.write_bytes(damaged)
        state, path = load_latest(tmp_path, expect=EXPECT)
        assert (path, state["step"]) == (before, 1)
        assert f"{newest}: this checkpoint is refused: it" in caplog.text or "the record at its end" in caplog.text
        caplog.clear()
    newest.write_bytes(whole)
    assert load_latest(tmp_path, expect=EXPECT)[1] == newest
    assert caplog.text == ""


def test_foreign_files_are_refused(tmp_path, caplog):
    ours = _save(tmp_path, 1)
    torch.save({"state_dict": {}}, tmp_path / "step_00000005.pt")
    (tmp_path / "step_00000006.pt").write_text("hello")
    (tmp_path / "step_00000007.pt").mkdir()
    shutil.copy(ours, tmp_path / "step_00000008.pt")
    (tmp_path / "model_best.pt").write_text("not looked at")
    assert load_latest(tmp_path, expect=EXPECT)[1] == ours
    assert "step_00000005.pt: this checkpoint is refused: it doesn't end as a checkpoint does" in caplog.text
    assert "step_00000007.pt: this checkpoint is refused: it can't be read: Is a directory" in caplog.text
    assert "step_00000008.pt: this checkpoint is refused: it holds step 1, not what its name says" in caplog.text
    ours.unlink()
    with pytest.raises(
        CheckpointError, match=r"no checkpoint can be used: .*08\.pt: it holds .*05\.pt: it doesn't end"
    ):
        load_latest(tmp_path, expect=EXPECT)
    with pytest.raises(CheckpointError, match=r"06\.pt: it doesn't end as a checkpoint does"):
        load_checkpoint(tmp_path / "step_00000006.pt")


def test_another_run_is_refused(tmp_path):
    _save(tmp_path, 1)
    with pytest.raises(CheckpointError, match=r"01\.pt was written for another run: seed is '3' there and '4' here"):
        load_latest(tmp_path, expect=EXPECT | {"seed": "4"})
    with pytest.raises(CheckpointError, match="norm is not said there and 'shared' here"):
        load_latest(tmp_path, expect=EXPECT | {"norm": "shared"})


def test_a_run_that_went_back_forgets_what_was_after(tmp_path):
    """Otherwise the damaged one would count as the newest, and the one just written be removed."""
    _save(tmp_path, 10)
    damaged = _save(tmp_path, 20)
    damaged.write_bytes(_flip(damaged.read_bytes()[:-200], random.Random(0)) + damaged.read_bytes()[-200:])
    assert load_latest(tmp_path, expect=EXPECT)[0]["step"] == 10
    _save(tmp_path, 15, keep_last=1)
    assert _names(tmp_path) == ["index.json", "step_00000015.pt"]
    assert load_latest(tmp_path, expect=EXPECT)[0]["step"] == 15


def test_what_could_not_be_read_back_is_not_written(tmp_path):
    state = _state(1) | {"note": [1, {"x": torch.nn.Linear(1, 1)}]}
    with pytest.raises(TypeError, match=r"^state\['note'\]\[1\]\['x'\]: Linear can't be kept in a checkpoint"):
        save_checkpoint(tmp_path, state, step=1, keep_last=1, keep_best=True)
    assert _names(tmp_path) == []


def _fill_up(folder, answers):
    """The system refuses to let a file grow beyond 100 kB: a real error in the middle of writing."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _save(folder, 1)
    for size in (20_000, 1_000_000):
        try:
            _save(folder, 2, size=size)
        except CheckpointError as error:
            answers.put(str(error))
        else:
            answers.put("written")
    _save(folder, 3)


def test_a_write_error_costs_no_checkpoint(tmp_path, spawning):
    answers = spawning.Queue()
    process = spawning.Process(target=_fill_up, args=(tmp_path, answers))
    process.start()
    assert answers.get(timeout=60) == "written"
    message = answers.get(timeout=60)
    process.join(60)
    assert process.exitcode == 0
    assert message.startswith(f"{tmp_path}/step_00000002.pt: the checkpoint can't be written: File too large")
    assert "it needs 4.0" in message
    assert message.endswith("; the last good one is step_00000002.pt")
    assert _names(tmp_path) == ["index.json", "step_00000002.pt", "step_00000003.pt"]
    assert _is_whole(load_latest(tmp_path, expect=EXPECT)[0])


def test_no_folder_can_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"the checkpoint can't be written: (File exists|Not a directory)"):
        _save(tmp_path / "file", 1)


@pytest.fixture(scope="module")
def spawning():
    """Fresh processes that have torch imported already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["training.checkpoint", "test_checkpoint"])
    return context


def _save_for_ever(folder, start, last_saved):
    for step in range(start, 10**8):
        _save(folder, step, score=step % 7, keep_last=1 + step % 3, size=200_000)
        last_saved.value = step


def test_killed_at_any_moment(tmp_path, spawning):
    """SIGKILL while it saves in a loop: what had been saved is there and whole, and nothing is left lying about."""
    rng = random.Random(0)
    last_saved = spawning.Value("q", 0)
    caught_writing = 0
    for _ in range(25):
        saved_before = last_saved.value
        process = spawning.Process(target=_save_for_ever, args=(tmp_path, saved_before + 1, last_saved))
        process.start()
        deadline = time.monotonic() + 60
        while last_saved.value == saved_before and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.02))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        caught_writing += any(name.startswith(".") for name in _names(tmp_path))
        state, _ = load_latest(tmp_path, expect=EXPECT)
        assert last_saved.value <= state["step"] <= last_saved.value + 1
        assert _is_whole(state)
        last_saved.value = state["step"]
    assert caught_writing  # else the moments were not well chosen
    final = last_saved.value + 1
    _save(tmp_path, final, keep_last=1, keep_best=False)
    assert _names(tmp_path) == ["index.json", f"step_{final:08d}.pt"]
