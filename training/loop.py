"""The training of a supernet, from its config to the last evaluation. It reads from top to bottom.

Every random number of a step follows from the seed, the step and the process, so that a run that was interrupted and
continued ends with the weights of one that was not.
"""

from __future__ import annotations

import gc
import hashlib
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from supernet import SpecError, Supernet, format_space, load_space, load_spec, save_spec
from supernet.options import Size

from .averaging import Averaged
from .checkpoint import CheckpointError, load_latest, save_checkpoint
from .compiling import make_runner
from .config import RunConfig
from .data import Mixer, open_data
from .data.randomness import seed_from
from .evaluation import evaluate_members, evaluation_members
from .log import RunLog
from .optimization import make_optimizer, make_schedule
from .phases import phase_at, phases, sort_everything
from .precision import set_up
from .processes import Processes, processes
from .run_folder import checkpoints, plain, write_setting
from .sampling import Sampler, make_sampler
from .step import LARGEST, SAMPLED, SMALLEST, Member, Sandwich
from .stopping import Stop, stop_on_signals
from .teacher import make_teacher

_LOOK_BACK = 50
"""Steps after which a GPU's losses are fetched at the latest, to see whether one is not finite."""


class DivergedError(RuntimeError):
    """A loss is not finite."""


class Interrupted(Exception):  # noqa: N818  it is no error
    """The run was asked to stop, and has written its checkpoint."""


def train(config: RunConfig, out: Path) -> None:
    """Trains, or continues, the run in the folder `out`. This is one process of those that take part."""
    with processes(config.precision) as us, stop_on_signals() as stop:
        Training(config, out, us).run(stop)


class Training:
    """All parts of a run, and where it stands: `step` steps of the optimiser are done."""

    def __init__(self, config: RunConfig, out: Path, us: Processes) -> None:
        self.config, self.out, self.us = config, out, us
        self.precision = set_up(config.precision, us.device)
        space = load_space(config.space)
        self.data = open_data(
            config.data, config.augment, seed=config.seed, rank=us.rank, world=us.world, in_chans=space.in_chans
        )
        self.space = space.with_(num_classes=self.data.num_classes)
        torch.manual_seed(seed_from(config.seed, 0))
        self.net = Supernet(self.space, norm_per_width=config.norm == "per_width", sync_norm=config.sync_norm)
        if config.init:
            self.net.load_member(config.init, self._init_spec())
        self.net.to(us.device)
        if config.precision.channels_last:
            self.net.to(memory_format=torch.channels_last)
        self.averaged = Averaged(self.net, config.ema) if config.ema is not None else None
        accumulate = config.optimizer.accumulate
        self.steps_per_epoch = self.data.steps_per_epoch // accumulate
        if not self.steps_per_epoch:
            have = self.data.steps_per_epoch
            raise SpecError("optimizer.accumulate", f"{accumulate} batches are more than the {have} of an epoch")
        self.total_steps = config.schedule.epochs * self.steps_per_epoch
        self.images_per_step = config.data.batch_size * us.world * accumulate
        self.optimizer = make_optimizer(self.net, config.optimizer, self.images_per_step)
        self.schedule = make_schedule(self.optimizer, config.schedule, self.steps_per_epoch)
        teacher = make_teacher(config.step.teacher, self.data.num_classes, space.in_chans, self.precision)
        self.sandwich = Sandwich(
            self.net,
            self.optimizer,
            config.step,
            config.optimizer,
            self.precision,
            us,
            teacher,
            make_runner(self.net, config.precision.compile),
        )
        self.mixer = Mixer(config.augment, self.data.num_classes, config.step.label_smoothing)
        self.phases = phases(self.space, config.phases)
        self.sampler: Sampler | None = None
        self.sampler_phase = -1
        self.step = 0
        self.last_good = "none was written"
        self.pending: list[tuple[int, Sequence[Member], Tensor]] = []
        self.saved_at = time.monotonic()

    def run(self, stop: Stop) -> None:
        self._continue()
        if self.us.is_main:
            write_setting(self.out, self.config, self.space)
        gc.collect()
        gc.freeze()  # what was set up stays, and need not be looked through again and again
        with RunLog(self.out, self.config.log, self.us.is_main, self.total_steps, self.step) as log:
            log.say(self._about())
            for epoch in range(self.step // self.steps_per_epoch, self.config.schedule.epochs):
                self._train_epoch(epoch, log, stop)
                last = epoch + 1 == self.config.schedule.epochs
                score = self._evaluate(log) if last or (epoch + 1) % self.config.evaluate.every == 0 else None
                self._save(score)
            log.say(f"{self.step:,} steps are done; the run is in {self.out}")

    def _train_epoch(self, epoch: int, log: RunLog, stop: Stop) -> None:
        first = epoch * self.steps_per_epoch
        self._enter_phase(epoch, begins=self.step == first)
        batches = self._batches(epoch, self.step - first)
        began, since = time.monotonic(), self.step
        while self.step < first + self.steps_per_epoch:
            torch.manual_seed(seed_from(self.config.seed, 1, self.step, self.us.rank))
            members = self._members(epoch)
            self.schedule.step_update(self.step)
            solve = self.config.step.conflict != "none" and epoch >= self.config.step.conflict_from
            losses = self.sandwich.step(members, batches, self.config.optimizer.accumulate, solve)
            self.step += 1
            if self.averaged is not None:
                self.averaged.update(self.net)
            self.pending.append((self.step, members, losses))
            assert self.sampler is not None
            due = log.due(self.step)
            if due or self.sampler.learns or self.us.device.type == "cpu" or len(self.pending) >= _LOOK_BACK:
                shown = self._look_at_losses()
                if due:
                    speed = (self.step - since) * self.images_per_step / max(time.monotonic() - began, 1e-9)
                    log.step(self.step, epoch, shown, self.optimizer.param_groups[0]["lr"], speed)
                    began, since = time.monotonic(), self.step
            if not due:
                log.advance(self.step)
            self._save_or_stop(stop, log)

    def _members(self, epoch: int) -> list[Member]:
        """The same on all processes: what is drawn follows from the seed and the step."""
        step, phase = self.config.step, phase_at(self.phases, epoch)
        rng = random.Random(f"{self.config.seed} members {self.step}")
        assert self.sampler is not None
        members = [Member(LARGEST, phase.space.largest())] if step.largest else []
        members += [Member(SMALLEST, phase.space.smallest())] if step.smallest else []
        drawn = self.sampler.sample(rng, step.sampled, self.step / self.total_steps)
        members += [Member(SAMPLED, spec) for spec in drawn]
        if step.resolution == "batch":
            resolution = self._batch_resolution(epoch, self.step - epoch * self.steps_per_epoch)
            members = [Member(member.role, member.spec.with_(resolution=resolution)) for member in members]
        return members

    def _batch_resolution(self, epoch: int, step: int) -> Any:
        resolutions = phase_at(self.phases, epoch).space.resolutions
        return resolutions[seed_from(self.config.seed, 2, epoch, step) % len(resolutions)]

    def _batches(self, epoch: int, start: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Images and soft targets from the epoch's step `start` on."""
        accumulate, space = self.config.optimizer.accumulate, phase_at(self.phases, epoch).space
        largest = space.largest().size

        def size_of(part: int) -> Size:
            if self.config.step.resolution == "each":
                return largest
            resolution = self._batch_resolution(epoch, part // accumulate)
            return (resolution, resolution) if isinstance(resolution, int) else resolution

        found = self.data.train_batches(epoch, start * accumulate, size_of)
        for number, (images, labels) in enumerate(found, start * accumulate):
            images = images.to(self.us.device, non_blocking=True)
            yield self.mixer(images, labels, (self.config.seed, epoch, number, self.us.rank))

    def _enter_phase(self, epoch: int, begins: bool) -> None:
        phase = phase_at(self.phases, epoch)
        if self.sampler is None or self.sampler_phase != phase.start:
            self.sampler, self.sampler_phase = make_sampler(phase.space, self.config.step), phase.start
        if begins and epoch == phase.start and phase.sort:
            sort_everything(self.net, None if self.averaged is None else self.averaged.net, self.optimizer)

    def _look_at_losses(self) -> dict[str, float]:
        """Fetches the losses of the steps since the last look, teaches the sampler and stops a run that diverged.
        Returns the last step's, by role."""
        shown: dict[str, float] = {}
        for step, members, losses in self.pending:
            values = self.us.mean(losses.tolist())
            for member, value in zip(members, values, strict=True):
                if not abs(value) < float("inf"):
                    self._diverged(step, member, value)
            assert self.sampler is not None
            if self.sampler.learns:
                start = values[0] if members[0].role == LARGEST else 0.0
                sampled = [(m.spec, v - start) for m, v in zip(members, values, strict=True) if m.role == SAMPLED]
                self.sampler.learn([spec for spec, _ in sampled], [value for _, value in sampled])
            by_role: dict[str, list[float]] = {}
            for member, value in zip(members, values, strict=True):
                by_role.setdefault(member.role, []).append(value)
            shown = {role: sum(found) / len(found) for role, found in by_role.items()}
        self.pending.clear()
        return shown

    def _diverged(self, step: int, member: Member, value: float) -> None:
        where = self.out / "diverged.yaml"
        if self.us.is_main:
            save_spec(member.spec, where)
        raise DivergedError(
            f"the loss of the {member.role} subnet is {value} at step {step:,} (its spec is in {where}). The last good "
            f"checkpoint: {self.last_good}. A lower optimizer.lr, optimizer.clip, or bf16 for fp16 may help."
        )

    @torch.no_grad()
    def _evaluate(self, log: RunLog) -> float:
        """Mean top-1 of the members that are watched."""
        options = self.config.evaluate
        net = self.net if self.averaged is None else self.averaged.net
        rows = list(
            evaluate_members(
                net,
                evaluation_members(self.space, options.random, options.published, self.config.seed),
                lambda size: self.data.calibration_batches(size, options.calibration_images),
                lambda size: self.data.validation_batches(size, options.images),
                self.precision,
                self.us,
            )
        )
        log.evaluation(self.step, rows)
        top1: list[float] = [row["top1"] for row in rows]
        return sum(top1) / len(top1)

    def _save_or_stop(self, stop: Stop, log: RunLog) -> None:
        options = self.config.checkpoint
        often = bool(options.steps) and self.step % options.steps == 0
        if self.us.world > 1 and not often and self.step % 8:  # the processes agree on it, which is not free
            return
        late = bool(options.minutes) and time.monotonic() - self.saved_at > 60 * options.minutes
        late, asked = (bool(x) for x in self.us.totals([float(late), float(stop.requested is not None)]))
        if asked:
            self._save(None)
            log.say(f"stopped after step {self.step:,}; the same command continues the run in {self.out}")
            raise Interrupted(stop.requested or "another process was asked to stop")
        if (often or late) and self.step % self.steps_per_epoch:  # an epoch's end is saved anyway
            self._save(None)

    def _save(self, score: float | None) -> None:
        self._look_at_losses()
        if self.us.is_main:
            state = plain(self._state())
            options = self.config.checkpoint
            path = save_checkpoint(
                checkpoints(self.out),
                state,
                step=self.step,
                score=score,
                keep_last=options.keep_last,
                keep_best=options.keep_best,
            )
            self.last_good = str(path)
        self.us.barrier()
        self.saved_at = time.monotonic()

    def _state(self) -> dict[str, Any]:
        averaged = self.averaged
        return {
            "written_for": self._written_for(),
            "step": self.step,
            "net": self.net.state_dict(),
            "averaged": averaged and {"net": averaged.net.state_dict(), "updates": averaged.updates},
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.sandwich.scaler.state_dict(),
            "sampler": self.sampler and self.sampler.state(),
            "sampler_phase": self.sampler_phase,
        }

    def _written_for(self) -> dict[str, str]:
        """What must not change from one start to the next."""
        config = self.config
        space = hashlib.blake2b(format_space(self.space).encode(), digest_size=8).hexdigest()
        return {
            "space": f"{self.space.name} {space}",
            "seed": str(config.seed),
            "norm": config.norm,
            "optimizer": config.optimizer.name,
            "images per step": str(self.images_per_step),
            "averaged": str(config.ema is not None),
        }

    def _continue(self) -> None:
        """From the newest checkpoint in the run's folder, if there is one. All processes read the same."""
        found = load_latest(checkpoints(self.out), expect=self._written_for())
        if found is None:
            return
        state, path = found
        if len(set(self.us.gather(state["step"]))) > 1:
            raise CheckpointError(f"{path}: not all processes see the same checkpoints; is {self.out} shared by them?")
        self.step = state["step"]
        self.last_good = str(path)
        self.net.load_state_dict(state["net"])
        if self.averaged is not None:
            self.averaged.net.load_state_dict(state["averaged"]["net"])
            self.averaged.updates = state["averaged"]["updates"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.sandwich.scaler.load_state_dict(state["scaler"])
        epoch = min(self.step // self.steps_per_epoch, self.config.schedule.epochs - 1)
        self._enter_phase(epoch, begins=False)
        if state["sampler"] is not None and state["sampler_phase"] == self.sampler_phase:
            assert self.sampler is not None
            self.sampler.load_state(state["sampler"])

    def _init_spec(self) -> Any:
        if not self.config.init_spec:
            return None
        spec = load_spec(self.config.init_spec)
        return spec.with_(num_classes=self.space.num_classes, in_chans=self.space.in_chans)

    def _about(self) -> str:
        at = f"continued after step {self.step:,}" if self.step else "started"
        epochs, world = self.config.schedule.epochs, self.us.world
        where = f"{world} processes on {self.us.device.type}" if world > 1 else str(self.us.device)
        shared = sum(parameter.numel() for parameter in self.net.parameters())
        return (
            f"{at}: {self.space.size:.3g} networks in {shared / 1e6:.2f} M shared weights; {self.data.num_train:,} "
            f"images; {epochs} epochs of {self.steps_per_epoch:,} steps of {self.images_per_step:,} images; on {where}"
        )
