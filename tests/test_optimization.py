"""Every optimiser of timm's that can take a step here goes on from its checkpoint with the same bits."""

import pytest
import torch
from timm.optim import list_optimizers

from supernet import Supernet, load_space
from training.checkpoint import load_checkpoint, save_checkpoint
from training.config import OptimizerConfig
from training.optimization import make_optimizer
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
