"""Runs the same training in one process and in two, all forks of this one; tests/test_parallel.py compares the weights.

python -m tests.parallel_worker FOLDER PORT
"""

import os
import random
import sys
import traceback

import torch

from supernet import Supernet, load_space
from training.averaging import Averaged
from training.calibration import batch_norms, calibrate
from training.config import OptimizerConfig, PrecisionConfig
from training.processes import processes
from training.step import LARGEST, SAMPLED, SMALLEST, Member, Sandwich
from training.supernet_config import StepConfig

IMAGES = 8
SETTINGS = {
    "plain": ({}, 1),
    "accumulated": ({}, 2),
    "conflict": ({"conflict": "attention"}, 1),
    "alpha": ({"distill": "alpha"}, 2),
}


def train(us, options, parts):
    torch.manual_seed(0)
    net = Supernet(load_space("tiny"), sync_norm=True).double()
    averaged = Averaged(net, Supernet(net.space, sync_norm=net.sync_norm), 0.9)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    sandwich = Sandwich(net, optimizer, StepConfig(**options), OptimizerConfig(clip=1.0), us=us)
    rng, generator = random.Random(0), torch.Generator().manual_seed(0)
    mine = slice(us.rank * IMAGES // us.world, (us.rank + 1) * IMAGES // us.world)
    for _ in range(4):
        members = [Member(LARGEST, net.space.largest()), Member(SMALLEST, net.space.smallest())]
        members.append(Member(SAMPLED, net.space.sample(rng)))
        batches = []
        for _ in range(parts):
            images = torch.randn(IMAGES, 3, 16, 16, generator=generator, dtype=torch.double)
            targets = torch.rand(IMAGES, 10, generator=generator, dtype=torch.double).softmax(1)
            batches.append((images[mine], targets[mine]))
        sandwich.step(members, iter(batches), parts, True)
        averaged.update(net)
    spec = net.space.largest()
    subnet = net.subnet(spec)
    images = torch.randn(3 * IMAGES, 3, 16, 16, generator=generator, dtype=torch.double).split(IMAGES)
    calibrate(subnet, [(part, None) for part in images[us.rank :: us.world]], us=us)
    statistics = {f"{n}": norm.running_mean for n, norm in enumerate(batch_norms(subnet))}
    return {"net": net.state_dict(), "averaged": averaged.net.state_dict(), "statistics": statistics}


def work(path, **variables):
    """In a fork, whose number is returned."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.environ.update(variables)
        with processes(PrecisionConfig(device="cpu"), timeout_s=60) as us:
            found = {name: train(us, *setting) for name, setting in SETTINGS.items()}
            torch.save(found, f"{path}.{us.rank}")
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, port = sys.argv[1:]
    together = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    children = [work(f"{folder}/two", RANK=rank, LOCAL_RANK=rank, **together) for rank in "01"]
    children.append(work(f"{folder}/one"))
    sys.exit(max(os.waitpid(child, 0)[1] != 0 for child in children))
