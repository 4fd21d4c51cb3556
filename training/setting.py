"""All parts of a run, made from its config, and where the run stands."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from supernet import SpecError, Supernet, WeightsError, load_space, load_spec
from supernet.options import Size

from .averaging import Averaged
from .compiling import make_runner
from .config import RunConfig
from .data import Mixer, open_data
from .members import Members
from .optimization import make_optimizer, make_schedule
from .phases import Phase, phase_at, phases, sort_everything
from .precision import set_up
from .processes import Processes
from .randomness import Purpose, seed_from
from .run_folder import has_checkpoints
from .step import Member, Outcome, Sandwich
from .teacher import make_teacher


class Training:
    """`step` steps of the optimiser are done."""

    def __init__(self, config: RunConfig, out: Path, us: Processes) -> None:
        self.config, self.out, self.us = config, out, us
        self.precision = set_up(config.precision, us.device)
        space = load_space(config.space)
        self.data = open_data(
            config.data, config.augment, seed=config.seed, rank=us.rank, world=us.world, in_chans=space.in_chans
        )
        self.space = space.with_(num_classes=self.data.num_classes)
        torch.manual_seed(seed_from(config.seed, Purpose.WEIGHTS))
        self.net = Supernet(self.space, norm_per_width=config.norm == "per_width", sync_norm=config.sync_norm)
        if config.init and not has_checkpoints(out):  # afterwards, they hold what came of it
            self._init_from(config.init)
        self.precision.place_net(self.net)
        self.averaged = Averaged(self.net, config.ema) if config.ema is not None else None
        if self.averaged is not None:
            self.precision.place_net(self.averaged.net)
        accumulate = config.optimizer.accumulate
        self.steps_per_epoch = self.data.steps_per_epoch // accumulate
        if not self.steps_per_epoch:
            have = self.data.steps_per_epoch
            raise SpecError("optimizer.accumulate", f"{accumulate} batches are more than the {have} of an epoch")
        self.total_steps = config.schedule.epochs * self.steps_per_epoch
        self.images_per_step = config.data.batch_size * us.world * accumulate
        self.optimizer = make_optimizer(self.net, config.optimizer, self.images_per_step)
        self.schedule = make_schedule(self.optimizer, config.schedule, self.steps_per_epoch)
        self.sandwich = Sandwich(
            self.net,
            self.optimizer,
            config.step,
            config.optimizer,
            self.precision,
            us,
            make_teacher(config.step, config.augment, self.space, self.precision),
            make_runner(self.net, config.precision.compile),
        )
        self.mixer = Mixer(config.augment, self.data.num_classes, config.step.label_smoothing)
        self.phases = phases(self.space, config.phases)
        self.phase: Phase = self.phases[0]
        self.members = Members(self.phase.space, config.step, config.seed)
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
        return min(self.step // self.steps_per_epoch, self.config.schedule.epochs - 1)

    @property
    def trained_net(self) -> Supernet:
        """What is evaluated: the averaged weights, where there are some."""
        return self.net if self.averaged is None else self.averaged.net

    def enter_phase(self) -> None:
        phase = phase_at(self.phases, self.epoch)
        if phase is not self.phase:
            self.phase, self.members = phase, Members(phase.space, self.config.step, self.config.seed)

    def sort_if_due(self) -> None:
        """Before the first step of a phase that begins with sorted channels."""
        if self.phase.sort and self.step == self.phase.start * self.steps_per_epoch:
            sort_everything(self.net, None if self.averaged is None else self.averaged.net, self.optimizer)

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Images and soft targets from the next step to the end of its epoch."""
        accumulate, epoch = self.config.optimizer.accumulate, self.epoch
        first = epoch * self.steps_per_epoch

        def size_of(part: int) -> Size:
            return self.members.size(first + part // accumulate)

        start = (self.step - first) * accumulate
        for number, (images, labels) in enumerate(self.data.train_batches(epoch, start, size_of), start):
            images = images.to(self.us.device, non_blocking=True)
            yield self.mixer(images, labels, (self.config.seed, epoch, number, self.us.rank))

    def _init_from(self, checkpoint: str) -> None:
        spec = load_spec(self.config.init_spec) if self.config.init_spec else None
        if spec is not None:
            spec = spec.with_(num_classes=self.space.num_classes, in_chans=self.space.in_chans)
        try:
            self.net.load_member(checkpoint, spec)
        except WeightsError as error:
            raise SpecError("init", str(error)) from None

    def about(self) -> str:
        at = f"continued after step {self.step:,}" if self.step else "started"
        epochs, world = self.config.schedule.epochs, self.us.world
        where = f"{world} processes on {self.us.device.type}" if world > 1 else str(self.us.device)
        shared = sum(parameter.numel() for parameter in self.net.parameters())
        return (
            f"{at}: {self.space.size:.3g} networks in {shared / 1e6:.2f} M shared weights; {self.data.num_train:,} "
            f"images; {epochs} epochs of {self.steps_per_epoch:,} steps of {self.images_per_step:,} images; on {where}"
        )
