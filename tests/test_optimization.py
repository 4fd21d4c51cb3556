"""Every optimiser of timm's that can take a step here goes on from its checkpoint with the same bits; the rates."""

import math

import pytest
import torch
from timm.optim import list_optimizers

from supernet import Supernet, load_space
from training.checkpoint import load_checkpoint, save_checkpoint
from training.config import OptimizerConfig, ScheduleConfig
from training.optimization import make_optimizer, make_schedule
from training.run_folder import plain

NOT_HERE = ("bnb", "fused", "adahessian", "kron")
"""Beginnings of names of optimisers that need packages or a GPU, are refused, or compile for minutes."""
NAMES = [name for name in list_optimizers() if not name.startswith(NOT_HERE)]


def stepped(net, optimizer, steps):
    generator = torch.Generator().manual_seed(steps)
    for _ in range(steps):
        net.zero_grad()
        net.gradients.normal_(std=1e-2, generator=generator)
        optimizer.step()


@pytest.mark.parametrize("name", [*NAMES, "lookahead_adamw"])
def test_goes_on_from_its_checkpoint(name, tmp_path):
    config = OptimizerConfig(name=name, lr=1e-3)
    space = load_space("tiny")
    torch.manual_seed(0)
    net = Supernet(space)
    optimizer = make_optimizer(net, config, 64)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    stepped(net, optimizer, 2)
    assert any(not torch.equal(before[key], value) for key, value in net.state_dict().items())
    state = {"net": net.state_dict(), "optimizer": optimizer.state_dict()}
    path = save_checkpoint(tmp_path, plain(state), step=2, keep_last=1, keep_best=False)
    other = Supernet(space)
    again = make_optimizer(other, config, 64)
    loaded = load_checkpoint(path)
    other.load_state_dict(loaded["net"])
    again.load_state_dict(loaded["optimizer"])
    for one, its in ((net, optimizer), (other, again)):
        torch.manual_seed(7)  # some draw
        stepped(one, its, 3)
    for key, value in net.state_dict().items():
        assert torch.equal(other.state_dict()[key], value), key


def test_what_an_optimiser_keeps_stays_what_it_is():
    """Some keep tuples, and look whether they are."""
    state = {"state": {0: {"moments": ((torch.ones(2),), [1, (2,)])}}}
    kept = plain(state)["state"][0]["moments"]
    assert type(kept) is tuple
    assert type(kept[0]) is tuple
    assert kept[1] == [1, (2,)]


@pytest.mark.parametrize("cosine_from", ["start", "warmup"])
def test_the_rate_of_every_step(cosine_from):
    """Computed here: a line, then a cosine from where it is said to begin, then the lowest rate."""
    options = {"epochs": 10, "warmup_epochs": 2, "warmup_lr": 0.1, "min_lr": 0.05, "cooldown_epochs": 3}
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = make_schedule(optimizer, ScheduleConfig(cosine_from=cosine_from, **options), steps_per_epoch=5)
    begin = 10 if cosine_from == "warmup" else 0
    for step in range(65):
        schedule.step_update(step)
        if step < 10:
            expected = 0.1 + 0.9 * step / 10
        elif step < 50:
            expected = 0.05 + 0.95 * (1 + math.cos(math.pi * (step - begin) / (50 - begin))) / 2
        else:
            expected = 0.05
        assert optimizer.param_groups[0]["lr"] == pytest.approx(expected), step
