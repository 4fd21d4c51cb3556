"""The state of a run into a checkpoint and back: all that the next step depends on, and that does not follow from the
config and the number of the step."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from supernet import SpecError

from .checkpoint import CheckpointError, OtherRunError, load_latest, save_checkpoint
from .run_folder import changes, checkpoints, plain
from .setting import Training


def save(run: Training, score: float | None) -> None:
    """Process 0 writes, the others wait. `score` tells which checkpoint was best."""
    state = run.subject.state()
    if run.us.is_main:
        options = run.config.checkpoint
        path = save_checkpoint(
            checkpoints(run.out),
            plain(_state(run) | state),
            step=run.step,
            score=score,
            keep_last=options.keep_last,
            keep_best=options.keep_best,
        )
        run.last_good = str(path)
    run.us.barrier()
    run.saved_at = time.monotonic()


def continue_(run: Training) -> None:
    """From the newest checkpoint in the run's folder, if there is one. All processes read the same."""
    try:
        found = load_latest(checkpoints(run.out), expect=_written_for(run))
    except OtherRunError as error:
        raise CheckpointError(f"{error}{_changed(run)}") from None
    steps = set(run.us.gather(found[0]["step"] if found is not None else 0))
    if len(steps) > 1:
        raise CheckpointError(f"not all processes see the same checkpoints; do they share the folder {run.out}?")
    if found is None:
        return
    state, path = found
    if state["step"] > run.total_steps:
        done = f"the run in {run.out} has done {state['step'] / run.steps_per_epoch:.3g} epochs already"
        raise SpecError("schedule.epochs", f"{run.config.schedule.epochs} are fewer: {done}")
    run.step, run.evaluated, run.last_good = state["step"], state["evaluated"], str(path)
    run.net.load_state_dict(state["net"])
    if run.averaged is not None:
        run.averaged.net.load_state_dict(state["averaged"]["net"])
        run.averaged.updates = state["averaged"]["updates"]
    run.optimizer.load_state_dict(state["optimizer"])
    if state["scaler"] and run.subject.scaler.is_enabled():
        run.subject.scaler.load_state_dict(state["scaler"])
    run.subject.begin_epoch(run.epoch)
    run.subject.load_state(state)


def _changed(run: Training) -> str:
    with contextlib.suppress(SpecError):
        if found := changes(run.out, run.config):
            return f"; since the last start, {', '.join(found)}"
    return ""


def _state(run: Training) -> dict[str, Any]:
    averaged = run.averaged
    return {
        "written_for": _written_for(run),
        "step": run.step,
        "evaluated": run.evaluated,
        "net": run.net.state_dict(),
        "averaged": averaged and {"net": averaged.net.state_dict(), "updates": averaged.updates},
        "optimizer": run.optimizer.state_dict(),
        "scaler": run.subject.scaler.state_dict(),
    }


def _written_for(run: Training) -> dict[str, str]:
    """What must not change from one start to the next."""
    config, options = run.config, run.config.optimizer
    return run.subject.written_for() | {
        "seed": str(config.seed),
        "optimizer": f"{options.name} {options.weight_decay} {options.betas} {options.momentum} {options.eps}",
        "images per step": str(run.images_per_step),
        "training images": str(run.data.num_train),
        "averaged": str(config.ema is not None),
    }
