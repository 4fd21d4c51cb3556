"""All parts of a run, made from its config, and where the run stands."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from supernet import NetSpec, SpecError, Supernet, load_space, load_spec
from supernet.options import Size

from .averaging import Averaged
from .compiling import make_runner
from .config import RunConfig
from .data import Mixer, open_data
from .optimization import make_optimizer, make_schedule
from .phases import Phase, phase_at, phases, sort_everything
from .precision import set_up
from .processes import Processes
from .randomness import Purpose, seed_from
from .sampling import Sampler, make_sampler
from .step import LARGEST, SAMPLED, SMALLEST, Member, Outcome, Sandwich
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
        if config.init:
            self.net.load_member(config.init, self._init_spec())
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
            make_teacher(config.step.teacher, config.augment, self.space, self.precision),
            make_runner(self.net, config.precision.compile),
        )
        self.mixer = Mixer(config.augment, self.data.num_classes, config.step.label_smoothing)
        self.phases = phases(self.space, config.phases)
        self.phase: Phase = self.phases[0]
        self.sampler: Sampler = make_sampler(self.phase.space, config.step)
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
            self.phase, self.sampler = phase, make_sampler(phase.space, self.config.step)

    def sort_if_due(self) -> None:
        """Before the first step of a phase that begins with sorted channels."""
        if self.phase.sort and self.step == self.phase.start * self.steps_per_epoch:
            sort_everything(self.net, None if self.averaged is None else self.averaged.net, self.optimizer)

    def members(self) -> list[Member]:
        """Those of the next step, the same on all processes: what is drawn follows from the seed and the step."""
        step, space = self.config.step, self.phase.space
        rng = random.Random(f"{self.config.seed} members {self.step}")
        members = [Member(LARGEST, space.largest())] if step.largest else []
        if step.smallest and (not step.largest or space.smallest() != space.largest()):
            members.append(Member(SMALLEST, space.smallest()))
        for _ in range(4):  # a network twice teaches nothing new; a phase may not have as many as are wanted
            missing = step.sampled - sum(member.role == SAMPLED for member in members)
            if not missing:
                break
            for spec in self.sampler.sample(rng, missing, self.step / self.total_steps):
                members += [Member(SAMPLED, spec)] if spec not in {member.spec for member in members} else []
        if step.resolution == "batch":
            resolution = self._batch_resolution(self.step)
            members = [Member(member.role, member.spec.with_(resolution=resolution)) for member in members]
        return members

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Images and soft targets from the next step to the end of its epoch."""
        accumulate, largest, epoch = self.config.optimizer.accumulate, self.phase.space.largest().size, self.epoch
        first = epoch * self.steps_per_epoch

        def size_of(part: int) -> Size:
            if self.config.step.resolution == "each":
                return largest
            resolution = self._batch_resolution(first + part // accumulate)
            return (resolution, resolution) if isinstance(resolution, int) else resolution

        start = (self.step - first) * accumulate
        for number, (images, labels) in enumerate(self.data.train_batches(epoch, start, size_of), start):
            images = images.to(self.us.device, non_blocking=True)
            yield self.mixer(images, labels, (self.config.seed, epoch, number, self.us.rank))

    def _batch_resolution(self, step: int) -> Any:
        resolutions = self.phase.space.resolutions
        return resolutions[seed_from(self.config.seed, step, Purpose.RESOLUTION) % len(resolutions)]

    def _init_spec(self) -> NetSpec | None:
        if not self.config.init_spec:
            return None
        spec = load_spec(self.config.init_spec)
        return spec.with_(num_classes=self.space.num_classes, in_chans=self.space.in_chans)

    def about(self) -> str:
        at = f"continued after step {self.step:,}" if self.step else "started"
        epochs, world = self.config.schedule.epochs, self.us.world
        where = f"{world} processes on {self.us.device.type}" if world > 1 else str(self.us.device)
        shared = sum(parameter.numel() for parameter in self.net.parameters())
        return (
            f"{at}: {self.space.size:.3g} networks in {shared / 1e6:.2f} M shared weights; {self.data.num_train:,} "
            f"images; {epochs} epochs of {self.steps_per_epoch:,} steps of {self.images_per_step:,} images; on {where}"
        )
