"""Small networks as retrain.py leaves them, for digits."""

from __future__ import annotations

import torch

from supernet import build, load_space, save_spec
from supernet.whole_files import write_whole
from training.config import AugmentConfig, DataConfig
from training.data import open_data
from training.network_config import NetworkConfig
from training.network_folder import write_network
from training.reading import format_config

DIGITS = tuple("0123456789")


def tiny_spec(**changes):
    return load_space("tiny").smallest().with_(**changes)


def network(spec, seed=0):
    torch.manual_seed(seed)
    return build(spec).eval()


def with_answers(net):
    """Random weights, but answers to digits that differ: batch norms know them, and no class is preferred."""
    data = open_data(DataConfig(source="digits", eval_batch_size=500), AugmentConfig(), seed=0)
    images, _ = next(iter(data.validation_batches(net.spec.size)))
    (layer,) = net.spec.head.scores_layers(net.spec.distilled)
    with torch.no_grad():
        net.train()
        for _ in range(30):
            net(images)
        scores = net.eval()(images)
        net.get_submodule(layer).bias -= scores.mean(0)
        for parameter in net.get_submodule(layer).parameters():
            parameter /= scores.std()
    return net


def write_run(folder, spec=None, seed=0, classes=DIGITS, held_out=50, run_seed=0, **augment):
    """The network is returned."""
    spec = spec or tiny_spec()
    folder.mkdir(parents=True)
    config = NetworkConfig(
        spec=str(folder / "spec.yaml"),
        data=DataConfig(source="digits", held_out=held_out, eval_batch_size=100),
        seed=run_seed,
        augment=AugmentConfig(**{"crop_pct": 1.0, "mean": (0.3, 0.3, 0.3), "std": (0.35, 0.35, 0.35)} | augment),
    )
    write_whole(folder / "config.yaml", format_config(config))
    save_spec(spec, folder / "spec.yaml")
    net = with_answers(network(spec, seed))
    write_network(folder, net, classes, {"top1": 1.0}, 1)
    return net
