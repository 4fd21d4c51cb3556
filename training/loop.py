"""A run of training, from its config to the last evaluation, whatever it trains.

Every random number of a step follows from the seed, the step and the process, so that a run that was interrupted and
continued ends with the weights of one that was not.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from supernet import save_spec
from supernet.values import UserError

from .claim import claimed
from .config import RunConfig
from .log import RunLog
from .processes import processes
from .randomness import Purpose, seed_from
from .run_folder import warn_of_changes, write_setting
from .saving import continue_, save
from .setting import Training
from .stopping import Stop, stop_on_signals
from .subject import Member
from .subjects import subject_of

_LOOK_BACK = 50
"""Steps after which a GPU's losses are fetched at the latest, to see whether one is not finite."""
_AGREE = 8
"""Steps after which several processes ask each other whether one is to stop."""


class DivergedError(UserError, RuntimeError):
    """A loss is not finite."""


class Interrupted(Exception):  # noqa: N818  it is no error
    """The run was asked to stop, and has written its checkpoint."""


def train(config: RunConfig, out: Path) -> None:
    """Trains, or continues, the run in the folder `out`. This is one process of those that take part."""
    with processes(config.precision) as us, stop_on_signals() as stop:
        run = Training(config, subject_of(config), out, us)
        with claimed(out, run.subject.file) if us.is_main else contextlib.nullcontext():
            continue_(run)
            if run.step < run.total_steps or not run.evaluated:
                _train(run, stop)
            elif us.is_main:
                warn_of_changes(out, config)
                print(f"{run.step:,} steps are done; the run is in {out}")


def _train(run: Training, stop: Stop) -> None:
    if run.us.is_main:
        write_setting(run.out, run.config, run.subject.write)
    log = RunLog(run.out, run.config.log, run.us.is_main, run.total_steps, run.step)
    with _old_objects_left_alone(), log:
        log.say(run.about())
        _end_epoch(run, log, stop)  # where the run was stopped before it could
        while run.step < run.total_steps:
            run.subject.begin_epoch(run.epoch)
            _train_epoch(run, log, stop)
            _end_epoch(run, log, stop)
        log.say(f"{run.step:,} steps are done; the run is in {run.out}")


@contextlib.contextmanager
def _old_objects_left_alone() -> Iterator[None]:
    """The garbage collector need not look through all that was set up again and again."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _train_epoch(run: Training, log: RunLog, stop: Stop) -> None:
    """From the next step to the end of its epoch."""
    epoch, config = run.epoch, run.config
    batches = run.batches()
    began, since = time.monotonic(), run.step
    while run.step < (epoch + 1) * run.steps_per_epoch:
        torch.manual_seed(seed_from(config.seed, run.step, run.us.rank, Purpose.STEP))
        run.schedule.step_update(run.step)
        run.subject.begin_step(run.step, run.steps_per_epoch, run.progress)
        members = run.subject.members(run.step, run.progress)
        outcome = run.subject.step(members, batches, config.optimizer.accumulate, epoch)
        if run.averaged is not None:
            run.averaged.update(run.net)
        run.step += 1
        run.evaluated = False
        run.pending.append((run.step, members, outcome))
        if log.due(run.step):
            speed = (run.step - since) * run.images_per_step / max(time.monotonic() - began, 1e-9)
            lr = max(group["lr"] for group in run.optimizer.param_groups)
            log.step(run.step, epoch, _look_at_losses(run), lr, speed)
            began, since = time.monotonic(), run.step
        else:
            log.advance(run.step)
            if run.subject.learns or run.us.device.type == "cpu" or len(run.pending) >= _LOOK_BACK:
                _look_at_losses(run)
        _save_or_stop(run, log, stop)
    _look_at_losses(run)


def _end_epoch(run: Training, log: RunLog, stop: Stop) -> None:
    """Evaluates if it is time to, and saves; nothing if that was done, or in the middle of an epoch."""
    if run.evaluated or run.step % run.steps_per_epoch:
        return
    is_last = run.step == run.total_steps
    score = None
    if is_last or run.step // run.steps_per_epoch % run.subject.evaluate_every == 0:
        save(run, None)  # the evaluation can be long, and may be stopped
        rows = _evaluate(run, log, stop)
        score = sum(float(row["top1"]) for row in rows) / len(rows)
        if is_last and run.us.is_main:
            run.subject.finish(run.out, run.trained_net, rows)
    run.evaluated = True
    save(run, score)


def _look_at_losses(run: Training) -> dict[str, float]:
    """Fetches the losses since the last look; a run that diverged ends, the sampler learns. The last ones, by role."""
    shown: dict[str, float] = {}
    for step, members, outcome in run.pending:
        values = run.us.mean(outcome.losses.tolist())
        by_role: dict[str, list[float]] = {}
        for member, value in zip(members, values, strict=True):
            if not abs(value) < float("inf"):
                raise _diverged(run, step, f"the loss of the {member} is {value}", member)
            by_role.setdefault(member.role, []).append(value)
        if not bool(outcome.finite):
            raise _diverged(run, step, "the gradient is not finite", members[0])
        if run.subject.learns:
            run.subject.learn(members, values)
        shown = {role: sum(found) / len(found) for role, found in by_role.items()}
    run.pending.clear()
    return shown


def _diverged(run: Training, step: int, what: str, member: Member) -> DivergedError:
    where = run.out / "diverged.yaml"
    if run.us.is_main:
        save_spec(member.spec, where)
    return DivergedError(
        f"{what} at step {step:,} (the spec of the {member} is in {where}). The last good checkpoint: "
        f"{run.last_good}. A lower optimizer.lr, optimizer.clip, or bf16 for fp16 may help."
    )


@torch.no_grad()
def _evaluate(run: Training, log: RunLog, stop: Stop) -> list[Mapping[str, Any]]:
    """Of all that is watched."""
    rows = []
    for row in run.subject.evaluate(run.trained_net, run.data):
        rows.append(row)
        if run.us.any(stop.requested is not None):
            log.say(f"stopped while evaluating; the same command continues the run in {run.out}")
            raise Interrupted(stop.requested or "another process was asked to stop")
    log.evaluation(run.step, rows)
    return rows


def _save_or_stop(run: Training, log: RunLog, stop: Stop) -> None:
    options = run.config.checkpoint
    often = bool(options.steps) and run.step % options.steps == 0
    late = bool(options.minutes) and time.monotonic() - run.saved_at > 60 * options.minutes
    if run.us.world == 1 or often or run.step % _AGREE == 0:  # to agree is not free
        wishes = run.us.totals([float(late), float(stop.requested is not None)])
        late, asked = wishes[0] > 0, wishes[1] > 0
        if asked or ((often or late) and run.step % run.steps_per_epoch):  # an epoch's end is saved anyway
            _look_at_losses(run)
            save(run, None)
        if asked:
            log.say(f"stopped after step {run.step:,}; the same command continues the run in {run.out}")
            raise Interrupted(stop.requested or "another process was asked to stop")
