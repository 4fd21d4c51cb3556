"""All parts of a run, made from its config, and where the run stands."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from supernet import SpecError
from supernet.options import Size

from .averaging import Averaged
from .config import RunConfig
from .data import Mixer, open_data
from .optimization import make_schedule
from .precision import set_up
from .processes import Processes
from .randomness import Purpose, seed_from
from .run_folder import has_checkpoints
from .subject import Member, Outcome, Subject


class Training:
    """`step` steps of the optimiser are done."""

    def __init__(self, config: RunConfig, subject: Subject, out: Path, us: Processes) -> None:
        self.config, self.subject, self.out, self.us = config, subject, out, us
        self.precision = set_up(config.precision, us.device)
        self.data = open_data(
            config.data, config.augment, seed=config.seed, rank=us.rank, world=us.world, in_chans=subject.in_chans
        )
        torch.manual_seed(seed_from(config.seed, Purpose.WEIGHTS))
        fresh = not has_checkpoints(out)  # checkpoints hold what came of the first weights
        subject.make_net(self.data, self.precision, us, fresh)
        self.net = self.precision.place_net(subject.net)
        self.averaged = None
        if config.ema is not None:
            self.averaged = Averaged(self.net, self.precision.place_net(subject.copy_net()), config.ema)
        accumulate = config.optimizer.accumulate
        self.steps_per_epoch = self.data.steps_per_epoch // accumulate
        if not self.steps_per_epoch:
            have = self.data.steps_per_epoch
            raise SpecError("optimizer.accumulate", f"{accumulate} batches are more than the {have} of an epoch")
        self.epochs = config.schedule.epochs + config.schedule.cooldown_epochs
        self.total_steps = self.epochs * self.steps_per_epoch
        self.images_per_step = config.data.batch_size * us.world * accumulate
        self.optimizer = subject.make_optimizer(self.images_per_step)
        self.schedule = make_schedule(self.optimizer, config.schedule, self.steps_per_epoch)
        subject.prepare(self.optimizer, None if self.averaged is None else self.averaged.net)
        self.mixer = Mixer(config.augment, self.data.num_classes, subject.label_smoothing)
        self.step = 0
        self.evaluated = True
        """Whether the evaluation that is due at this step, if any, was made."""
        self.last_good = "none was written"
        self.pending: list[tuple[int, Sequence[Member], Outcome]] = []
        """Steps whose losses nobody has looked at yet."""
        self.saved_at = time.monotonic()

    @property
    def epoch(self) -> int:
        """That of the next step; after the last one, the last epoch."""
        return min(self.step // self.steps_per_epoch, self.epochs - 1)

    @property
    def progress(self) -> float:
        """The share of all steps that are done."""
        return self.step / self.total_steps

    @property
    def trained_net(self) -> nn.Module:
        """What is evaluated: the averaged weights, where there are some."""
        return self.net if self.averaged is None else self.averaged.net

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Images and soft targets from the next step to the end of its epoch."""
        accumulate, epoch = self.config.optimizer.accumulate, self.epoch
        first = epoch * self.steps_per_epoch

        def size_of(part: int) -> Size:
            return self.subject.size(first + part // accumulate)

        start = (self.step - first) * accumulate
        for number, (images, labels) in enumerate(self.data.train_batches(epoch, start, size_of), start):
            images = images.to(self.us.device, non_blocking=True)
            yield self.mixer(images, labels, (self.config.seed, epoch, number, self.us.rank))

    def about(self) -> str:
        at = f"continued after step {self.step:,}" if self.step else "started"
        where = f"{self.us.world} processes on {self.us.device.type}" if self.us.world > 1 else str(self.us.device)
        return (
            f"{at}: {self.subject.about()}; {self.data.num_train:,} images; {self.epochs} epochs of "
            f"{self.steps_per_epoch:,} steps of {self.images_per_step:,} images; on {where}"
        )
