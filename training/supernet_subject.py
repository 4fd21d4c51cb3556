"""A supernet as what a run trains: its phases, the members of a step, and how they are judged."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from supernet import SpecError, Supernet, WeightsError, format_space, load_space, load_spec, save_space
from supernet.options import Size

from .compiling import make_runner
from .data import Data
from .evaluation import evaluate_members, evaluation_members
from .members import Members
from .optimization import make_optimizer
from .phases import Phase, phase_at, phases, sort_everything
from .precision import Precision
from .processes import Processes
from .step import Sandwich
from .subject import Member, Outcome
from .supernet_config import SupernetConfig
from .teacher import make_teacher


class SupernetSubject:
    def __init__(self, config: SupernetConfig) -> None:
        self.config = config
        self.space = load_space(config.space)
        self.in_chans = self.space.in_chans
        self.label_smoothing = config.step.label_smoothing
        self.evaluate_every = config.evaluate.every
        self.file = "space.yaml"

    def make_net(self, data: Data, precision: Precision, us: Processes, fresh: bool) -> None:
        config = self.config
        self.space = self.space.with_(num_classes=data.num_classes)
        self.net = Supernet(self.space, norm_per_width=config.norm == "per_width", sync_norm=config.sync_norm)
        if config.init and fresh:
            self._init_from(config.init)
        self.phases = phases(self.space, config.phases)
        self._enter(self.phases[0])
        self._precision, self._us = precision, us

    def make_optimizer(self, images_per_step: int) -> torch.optim.Optimizer:
        return make_optimizer(self.net, self.config.optimizer, images_per_step)

    def prepare(self, optimizer: torch.optim.Optimizer, average: nn.Module | None) -> None:
        config, precision = self.config, self._precision
        assert average is None or isinstance(average, Supernet)
        self._optimizer, self._average = optimizer, average
        taught = config.step
        # With `each`, members take the image of the largest size and make it smaller for themselves.
        resolutions = self.space.resolutions if taught.resolution == "batch" else (self.space.largest().resolution,)
        self._sandwich = Sandwich(
            self.net,
            optimizer,
            taught,
            config.optimizer,
            precision,
            self._us,
            make_teacher(taught.teacher, "step.teacher", config.augment, self.space, resolutions, precision),
            make_runner(self.net, config.precision.compile),
        )
        self.scaler = self._sandwich.mover.scaler

    def copy_net(self) -> Supernet:
        return Supernet(self.space, norm_per_width=self.net.norm_per_width, sync_norm=self.net.sync_norm)

    def write(self, folder: Path) -> None:
        save_space(self.space, folder / self.file)

    def about(self) -> str:
        shared = sum(parameter.numel() for parameter in self.net.parameters())
        return f"{self.space.size:.3g} networks in {shared / 1e6:.2f} M shared weights"

    def begin_epoch(self, epoch: int) -> None:
        phase = phase_at(self.phases, epoch)
        if phase is not self._phase:
            self._enter(phase)

    def begin_step(self, step: int, steps_per_epoch: int, progress: float) -> None:
        """Channels are sorted before the first step of a phase that begins so."""
        if self._phase.sort and step == self._phase.start * steps_per_epoch:
            sort_everything(self.net, self._average, self._optimizer)

    def members(self, step: int, progress: float) -> list[Member]:
        return self._members.of(step, progress)

    def size(self, step: int) -> Size:
        return self._members.size(step)

    def step(
        self, members: Sequence[Member], batches: Iterator[tuple[Tensor, Tensor]], parts: int, epoch: int
    ) -> Outcome:
        solve_conflicts = self.config.step.conflict != "none" and epoch >= self.config.step.conflict_from
        return self._sandwich.step(members, batches, parts, solve_conflicts)

    @property
    def learns(self) -> bool:
        return self._members.learns

    def learn(self, members: Sequence[Member], losses: Sequence[float]) -> None:
        self._members.learn(members, losses)

    def evaluate(self, net: nn.Module, data: Data) -> Iterator[dict[str, Any]]:
        assert isinstance(net, Supernet)
        options = self.config.evaluate
        return evaluate_members(
            net,
            evaluation_members(self.space, options.random, options.published, self.config.seed),
            lambda size: data.calibration_batches(size, options.calibration_images),
            lambda size: data.validation_batches(size, options.images),
            self._precision,
            self._us,
        )

    def finish(self, folder: Path, net: nn.Module, rows: Sequence[Mapping[str, Any]]) -> None:
        """A supernet is read from its checkpoints."""

    def state(self) -> dict[str, Any]:
        return {"sampler": self._members.state(), "sampler_of": self._sampler_of()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        if state["sampler_of"] == self._sampler_of():
            self._members.load_state(state["sampler"])

    def written_for(self) -> dict[str, str]:
        space = hashlib.blake2b(format_space(self.space).encode(), digest_size=8).hexdigest()
        return {"space": f"{self.space.name} {space}", "norm": self.config.norm}

    def _enter(self, phase: Phase) -> None:
        self._phase, self._members = phase, Members(phase.space, self.config.step, self.config.seed)

    def _sampler_of(self) -> str:
        """What a sampler's memory is good for: another phase, or another way of sampling, starts without."""
        step = self.config.step
        return f"{step.sampling} {step.strata} {step.bank} {step.resolution} from epoch {self._phase.start}"

    def _init_from(self, checkpoint: str) -> None:
        spec = load_spec(self.config.init_spec) if self.config.init_spec else None
        if spec is not None:
            spec = spec.with_(num_classes=self.space.num_classes, in_chans=self.space.in_chans)
        try:
            self.net.load_member(checkpoint, spec)
        except WeightsError as error:
            raise SpecError("init", str(error)) from None
