"""The loop where something goes wrong, or options change from one start to the next; on digits, a few steps."""

from pathlib import Path

import pytest
import torch

from supernet import load_space, save_space
from supernet.values import SpecError
from training.checkpoint import load_latest
from training.loop import DivergedError, train
from training.moving import Mover
from training.processes import Processes
from training.reading import load_config
from training.run_folder import checkpoints
from training.setting import Training
from training.step import Sandwich
from training.supernet_subject import SupernetSubject

ROOT = Path(__file__).parent.parent


def config(*overrides):
    few = ("data.held_out=1200", "data.batch_size=64", "schedule.epochs=3", "schedule.warmup_epochs=0")
    quick = ("evaluate.images=32", "evaluate.calibration_images=32", "evaluate.random=0", "log.tensorboard=false")
    return load_config(ROOT / "configs" / "digits.yaml", [*few, *quick, *overrides])


def test_a_gradient_that_is_not_finite_never_reaches_a_checkpoint(tmp_path, monkeypatch):
    move, moved = Mover.move, [0]

    def spoilt(self, gradients):
        moved[0] += 1
        return move(self, gradients)

    def exchange(self, *groups, **options):
        if moved[0] == 4:
            self.net.gradients[0] = float("inf")

    monkeypatch.setattr(Mover, "move", spoilt)
    monkeypatch.setattr(Sandwich, "_exchange", exchange)
    with pytest.raises(DivergedError, match=r"the gradient is not finite at step 5 .*step_00000004\.pt"):
        train(config("checkpoint.steps=1"), tmp_path)
    state, _ = load_latest(checkpoints(tmp_path), expect={})
    assert state["step"] == 4
    assert all(torch.isfinite(tensor).all() for tensor in state["net"].values())


def test_members_of_a_step_are_different(tmp_path):
    settings = config("phases=[{start: 1, elastic: [kernel]}]", "step.sampled=4")
    subject = SupernetSubject(settings)
    run = Training(settings, subject, tmp_path, Processes())
    assert len(subject.members(0, 0)) == 1  # nothing is elastic yet
    run.step = run.steps_per_epoch
    subject.begin_epoch(1)
    for _ in range(5):
        specs = [member.spec for member in subject.members(run.step, 0.5)]
        assert len(specs) == len(set(specs)) > 2
        run.step += 1


@pytest.mark.parametrize("change", ["step.sampling=adjacent", "step.conflict=largest", "optimizer.lr=1e-4"])
def test_a_run_goes_on_with_other_options(tmp_path, change):
    train(config("schedule.epochs=1"), tmp_path)
    train(config(change), tmp_path)
    assert load_latest(checkpoints(tmp_path), expect={})[0]["step"] == 9


def test_what_can_not_change_is_refused(tmp_path):
    train(config("schedule.epochs=1"), tmp_path)
    for change in ("optimizer.weight_decay=0", "data.held_out=1000", "seed=1"):
        with pytest.raises(Exception, match="was written for another run"):
            train(config(change), tmp_path)


def test_a_finished_run_is_left_alone(tmp_path, capsys):
    train(config("schedule.epochs=1"), tmp_path)
    before = (tmp_path / "log.jsonl").read_bytes()
    capsys.readouterr()
    train(config("schedule.epochs=1"), tmp_path)
    assert "3 steps are done" in capsys.readouterr().out
    assert (tmp_path / "log.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    "changes", [("data.batch_size=1",), ("data.batch_size=7", "step.images=split", "step.sampled=4")]
)
def test_too_few_images_for_batch_norm(changes):
    with pytest.raises(SpecError, match="batch norm needs 2 images"):
        config(*changes)


def test_copied_slices_with_averaged_weights(tmp_path):
    save_space(load_space("efficientformerv2_small").with_(resolutions=(32,)), tmp_path / "space.yaml")
    train(config(f"space={tmp_path / 'space.yaml'}", "schedule.epochs=1", "evaluate.random=1"), tmp_path / "run")
    assert load_latest(checkpoints(tmp_path / "run"), expect={})[0]["evaluated"]
