"""How long a training takes: real steps of a config on the device at hand, and the schedule at that speed.

    python bench/hours.py configs/imagenet_iformer.yaml
    python bench/hours.py configs/retrain/iformer.yaml --network iformer_m --devices 1 8

Steps are as configured: the members of a supernet, the teacher (with random weights), numbers, accumulation, averaged
weights. Images are made up and lie in memory: reading, augmentation, evaluation and, with several devices, the exchange
of gradients are not in these hours. On a processor batches are smaller (`--batch`), and what a step costs whatever its
batch is counted once for the configured one; hours are extrapolated from seconds.

For a GPU that is not at hand there is an estimate by arithmetic: a GPU that does `--tera-macs` trillion
multiply-accumulates a second, three for each of the forward pass of a network that learns and one for each of a
teacher's. The default is what an NVIDIA A40 does in inference with LowFormer B0 to B3, batch 200, by its authors'
images a second (github.com/altair199797/LowFormer, README): 5.7 to 7.1. Networks with many depthwise convolutions, such
as iFormer, will rather do less; newer GPUs more. Nobody has measured it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple, cast

import timm
import torch
from msgspec.structs import replace
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.timing import clock
from supernet import count
from supernet.options import Size
from training.averaging import Averaged
from training.config import TeacherConfig
from training.data import Data
from training.network_config import NetworkConfig
from training.precision import set_up
from training.processes import Processes, device_for
from training.reading import load_config
from training.recipes import find_config
from training.subject import Subject
from training.subjects import subject_of
from training.supernet_config import SupernetConfig

AnyConfig = SupernetConfig | NetworkConfig
IMAGENET = (1_281_167, 1000)
"""Training images, classes."""
MORE = 2
"""Batches by which the longer of two steps is longer."""
COUNTED = 200
"""Steps over whose members multiply-accumulates are averaged."""
A40 = (5.7, 7.1)


class Step(NamedTuple):
    """Seconds of a step of the optimiser: what each batch takes, and what is left whatever it is."""

    batch_s: float
    fixed_s: float

    def images_per_second(self, timed_batch: int, batch: int, accumulate: int) -> float:
        """With another number of images than were timed."""
        return batch * accumulate / (self.fixed_s + accumulate * self.batch_s * batch / timed_batch)


def from_two(short_s: float, long_s: float, more: int = MORE) -> Step:
    """Of the same members, with one batch and with so many more."""
    batch_s = min((long_s - short_s) / more, short_s)
    return Step(batch_s, short_s - batch_s)


def schedule_hours(images: float, images_per_second: float, devices: int = 1) -> float:
    return images / images_per_second / devices / 3600


class Timed:
    """A run's subject and what its steps need, without a folder and without data."""

    def __init__(self, config: AnyConfig, batch: int, classes: int) -> None:
        device = device_for(config.precision, 0)
        self.config, self.batch, self.classes = config, batch, classes
        self.precision = set_up(config.precision, device)
        self.subject: Subject = subject_of(config)
        torch.manual_seed(config.seed)
        data = cast(Data, SimpleNamespace(num_classes=classes, classes=()))  # all that is asked of data here
        self.subject.make_net(data, self.precision, Processes(device=device), fresh=False)
        self.net = self.precision.place_net(self.subject.net)
        self.averaged = None
        if config.ema is not None:
            self.averaged = Averaged(self.net, self.precision.place_net(self.subject.copy_net()), config.ema)
        images_per_step = config.data.batch_size * config.optimizer.accumulate
        optimizer = self.subject.make_optimizer(images_per_step)
        self.subject.prepare(optimizer, None if self.averaged is None else self.averaged.net)
        self.subject.begin_epoch(0)

    def step(self, number: int, parts: int) -> float:
        """Seconds. The half of the schedule is over: what begins later is at work."""
        batches = self._batches(self.subject.size(number), parts)
        began = clock()
        self.subject.begin_step(number, 1000, 0.5)
        self.subject.step(self.subject.members(number, 0.5), batches, parts, 0)
        if self.averaged is not None:
            self.averaged.update(self.net)
        return clock() - began

    def _batches(self, size: Size, parts: int) -> Iterator[tuple[Tensor, Tensor]]:
        images = torch.randn(self.batch, self.subject.in_chans, *size)
        targets = F.one_hot(torch.arange(self.batch) % self.classes, self.classes).float()
        device = self.precision.device
        return iter([(images.to(device), targets.to(device))] * parts)

    def time(self, steps: int) -> Step:
        self.step(0, 1)  # what the first one makes is there for the others
        found = [(self.step(number, 1), self.step(number, 1 + MORE)) for number in range(1, steps + 1)]
        short, long = (statistics.fmean(side) for side in zip(*found, strict=True))
        return from_two(short, long)

    def macs(self) -> float:
        """Of an image: three times those of each network that learns, and the teacher's."""
        drawn = [self.subject.members(number, 0.5) for number in range(COUNTED)]
        learning = statistics.fmean(sum(count(member.spec).macs for member in members) for members in drawn)
        teacher = self.config.step.teacher
        size = self.subject.size(0)
        return 3 * learning + (teacher_macs(teacher, size, self.subject.in_chans) if teacher is not None else 0)


def teacher_macs(config: TeacherConfig, size: Size, in_chans: int) -> float:
    with torch.device("meta"):
        net, images = timm.create_model(config.model, in_chans=in_chans).eval(), torch.empty(1, in_chans, *size)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(images)
    return counter.get_total_flops() / 2


def with_random_teacher(config: AnyConfig, classes: int, folder: Path) -> AnyConfig:
    """How long it takes does not depend on what it knows, and published weights would have to be fetched."""
    teacher = config.step.teacher
    if teacher is None:
        return config
    file = folder / "teacher.safetensors"
    save_file(timm.create_model(teacher.model, num_classes=classes).state_dict(), file)
    if isinstance(config, NetworkConfig):
        return replace(config, step=replace(config.step, teacher=replace(teacher, weights=str(file))))
    return replace(config, step=replace(config.step, teacher=replace(teacher, weights=str(file))))


def report(args: argparse.Namespace) -> None:
    if args.network:
        config: AnyConfig = find_config(args.network, str(args.config), args.overrides)
    else:
        config = load_config(args.config, args.overrides)
    on_gpu = device_for(config.precision, 0).type == "cuda"
    if not on_gpu:
        torch.set_num_threads(args.threads)
    batch, accumulate = config.data.batch_size, config.optimizer.accumulate
    timed_batch = args.batch or (batch if on_gpu else 8)
    with tempfile.TemporaryDirectory() as folder:
        timed = Timed(with_random_teacher(config, args.classes, Path(folder)), timed_batch, args.classes)
        step = timed.time(args.steps)
    speed = step.images_per_second(timed_batch, batch, accumulate)
    epochs = config.schedule.epochs + config.schedule.cooldown_epochs
    images = float(epochs) * (args.images - config.data.held_out)
    what = torch.cuda.get_device_name() if on_gpu else f"this processor, {args.threads} thread"
    print(
        f"{args.network or args.config}: {epochs} epochs, {images / 1e6:,.0f} M images, steps of {accumulate} x {batch}"
    )
    print(f"numbers {config.precision.amp}, timed with batches of {timed_batch}; {args.steps} steps")
    print(f"{what}: {speed:.2f} images/s{'' if on_gpu else '; the hours are extrapolated from this'}")
    for devices in args.devices:
        hours = schedule_hours(images, speed, devices)
        print(f"  {devices:>4} of it: {hours:>12,.1f} hours, {hours / 24:,.1f} days")
    macs = timed.macs()
    total = 2 * macs * images / 1e18
    print(f"{macs / 1e9:.2f} GMACs an image, {total:.1f} EFLOP in all; here {macs * speed / 1e9:.1f} GMACs/s")
    print(f"estimate for GPUs that do {' to '.join(f'{one:g}' for one in args.tera_macs)} TMACs/s, not measured:")
    for devices in args.devices:
        hours_ = [schedule_hours(images, tera * 1e12 / macs, devices) for tera in sorted(args.tera_macs, reverse=True)]
        print(f"  {devices:>4} of it: {' to '.join(f'{one:,.0f}' for one in hours_):>12} hours")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="of a supernet, or with --network a recipe")
    parser.add_argument("--network", default="", help="a published name or a file: what the recipe trains")
    parser.add_argument("--set", metavar="a.b=c", action="append", default=[], dest="overrides")
    parser.add_argument("--steps", type=int, default=4, help="that are timed, each twice (default 4)")
    parser.add_argument("--batch", type=int, default=0, help="images of a timed batch (a GPU: as configured; else 8)")
    parser.add_argument("--threads", type=int, default=1, help="of a processor (default 1: its time is counted)")
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 8], help="how many of them (default 1 8)")
    parser.add_argument("--images", type=int, default=IMAGENET[0], help="of the training split (default ImageNet-1k's)")
    parser.add_argument("--classes", type=int, default=IMAGENET[1])
    parser.add_argument("--tera-macs", type=float, nargs="+", default=A40, help="a second, of the GPU of the estimate")
    report(parser.parse_args())


if __name__ == "__main__":
    main()
