"""The processes of a run and what they say to each other: one process, or those that torchrun, srun or Ray started.

With one process every method is a no-op that gives its own value back, so nothing else asks how many there are.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from supernet.values import SpecError, UserError, first_line, show

from .config import PrecisionConfig

T = TypeVar("T")

TIMEOUT_S = 1200.0
"""So long one process waits for another: evaluation on one of them, or a checkpoint on a slow disk, must fit in."""

logger = logging.getLogger("training")


class ProcessesError(UserError, RuntimeError):
    """The processes of a run can't come together, or one of them was lost."""


@dataclass(frozen=True)
class Processes:
    """This process among the others. Whatever is asked here must be asked by all of them, in the same order."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    device: torch.device = torch.device("cpu")  # noqa: RUF009  a value

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def sum_(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over processes, in place. On this process's device."""
        if self.world > 1:
            with self._company("adding up tensors"):
                dist.all_reduce(tensor)
        return tensor

    def totals(self, values: Sequence[float]) -> list[float]:
        """The sum over processes of each value, in double precision."""
        if self.world == 1:
            return list(values)
        sums: list[float] = self.sum_(torch.tensor(values, dtype=torch.float64, device=self.device)).tolist()
        return sums

    def mean(self, values: Sequence[float]) -> list[float]:
        """The mean over processes of each value, all processes weighing the same."""
        return [total / self.world for total in self.totals(values)]

    def any(self, flag: bool) -> bool:
        """Whether it is true on any process: all of them then stop at the same step."""
        return self.totals([float(flag)])[0] > 0

    def gather(self, obj: T) -> list[T]:
        """The objects of all processes, by rank, on all processes. They are pickled."""
        if self.world == 1:
            return [obj]
        objects: list[Any] = [None] * self.world
        with self._company("gathering"):
            dist.all_gather_object(objects, obj)
        return objects

    def broadcast(self, obj: T) -> T:
        """The object of process 0. It is pickled."""
        if self.world == 1:
            return obj
        objects: list[Any] = [obj]
        with self._company("broadcasting"):
            dist.broadcast_object_list(objects, src=0)
        value: T = objects[0]
        return value

    def barrier(self) -> None:
        """Returns when all processes have come here."""
        self.totals([0.0])

    @contextlib.contextmanager
    def _company(self, doing: str) -> Iterator[None]:
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            lost = "another one has ended or hangs; its own output says why"
            raise ProcessesError(
                f"process {self.rank} of {self.world}, {doing}: {lost} ({first_line(error)})"
            ) from error


@contextlib.contextmanager
def processes(config: PrecisionConfig, timeout_s: float = TIMEOUT_S) -> Iterator[Processes]:
    """This process among those that torchrun, srun or Ray started, or alone.

    A process that is waited for in vain makes the others end with ProcessesError: at once where its connection breaks,
    after `timeout_s` where it hangs. (With NCCL the latter ends the process, by torch's own watchdog.) A process group
    that exists already, as in Ray Train, is used and left as it is.
    """
    if dist.is_initialized():
        # Whoever made it has chosen the GPU too: Ray may give several processes one.
        on_gpu = config.device != "cpu" and torch.cuda.is_available()
        device = torch.device("cuda", torch.cuda.current_device()) if on_gpu else device_for(config, 0)
        yield Processes(dist.get_rank(), dist.get_world_size(), int(os.environ.get("LOCAL_RANK", "0")), device)
        return
    place = _place(os.environ)
    me = Processes(place.rank, place.world, place.local_rank, device_for(config, place.local_rank))
    if me.world == 1:
        yield me
        return
    try:
        dist.init_process_group(
            "nccl" if me.device.type == "cuda" else "gloo",
            init_method=place.meeting,
            rank=me.rank,
            world_size=me.world,
            timeout=timedelta(seconds=timeout_s),
            device_id=me.device if me.device.type == "cuda" else None,
        )
    except (RuntimeError, ValueError) as error:
        if "EADDRINUSE" in str(error):
            raise ProcessesError(
                f"port {os.environ.get('MASTER_PORT')} of this computer is taken by another program: "
                "give another one, torchrun --master-port N, or MASTER_PORT"
            ) from None
        where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        where = where if place.meeting == "env://" else place.meeting
        raise ProcessesError(
            f"process {me.rank} of {me.world}: they didn't come together at {where} within {timeout_s:g} s"
            f" ({first_line(error)})"
        ) from error
    try:
        yield me
    finally:
        dist.destroy_process_group()


def device_for(config: PrecisionConfig, local_rank: int) -> torch.device:
    """The device of a process; where all GPUs of a computer are visible, each process has its own."""
    has_cuda = torch.cuda.is_available()
    if config.device == "cuda" and not has_cuda:
        raise SpecError("precision.device", "'cuda' is not here: PyTorch sees no GPU; auto or cpu would run")
    if config.device == "cpu" or not has_cuda:
        return torch.device("cpu")
    count = torch.cuda.device_count()
    if count > 1 and local_rank >= count:
        raise ProcessesError(f"process {local_rank} of this computer has no GPU: {count} are visible; start {count}")
    device = torch.device("cuda", local_rank if count > 1 else 0)  # a launcher may show each process only its own
    torch.cuda.set_device(device)
    return device


@dataclass(frozen=True)
class _Place:
    rank: int = 0
    world: int = 1
    local_rank: int = 0
    meeting: str = "env://"


def _place(env: Mapping[str, str]) -> _Place:
    """What the launcher's variables say; torchrun's go before Slurm's, as it may run inside a Slurm job."""
    torchrun = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    if any(name in env for name in torchrun):
        rank, world, local_rank = _numbers(env, torchrun, "torchrun")
        if world > 1:
            _demand(env, (*torchrun, "MASTER_ADDR", "MASTER_PORT"), "torchrun")
            if not env["MASTER_PORT"].isdecimal():
                raise ProcessesError(
                    f"MASTER_PORT={show(env['MASTER_PORT'])} is not the number of a port, such as 29500"
                )
        return _Place(rank, world, local_rank)
    if "SLURM_PROCID" not in env or env.get("SLURM_NTASKS", "1") == "1":
        return _Place()
    if "SLURM_STEP_ID" not in env:
        logger.warning("%s tasks of Slurm, but not started by srun: this is one process", env["SLURM_NTASKS"])
        return _Place()
    rank, world, local_rank = _numbers(env, ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"), "srun")
    return _Place(rank, world, local_rank, _slurm_meeting(env))


def _numbers(env: Mapping[str, str], names: tuple[str, str, str], launcher: str) -> tuple[int, int, int]:
    _demand(env, names, launcher)
    try:
        rank, world, local_rank = (int(env[name]) for name in names)
    except ValueError:
        written = ", ".join(f"{name}={show(env[name])}" for name in names)
        raise ProcessesError(f"{written}: these are not whole numbers, as {launcher} sets them") from None
    if not 0 <= rank < world:
        raise ProcessesError(f"{names[0]}={rank} is not a number from 0 to {world - 1}, as {names[1]}={world}")
    return rank, world, local_rank


def _demand(env: Mapping[str, str], names: Sequence[str], launcher: str) -> None:
    missing = [name for name in names if not env.get(name)]
    if missing:
        found = ", ".join(name for name in names if name not in missing)
        unset = f"{', '.join(missing)}: {launcher} sets all; unset the others to run alone"
        raise ProcessesError(f"{found} set, but not {unset}")


def _slurm_meeting(env: Mapping[str, str]) -> str:
    """Process 0's computer is the first of the step; all processes derive one port from the job and step."""
    nodes = env.get("SLURM_STEP_NODELIST") or env.get("SLURM_JOB_NODELIST") or ""
    address = env.get("MASTER_ADDR") or first_node(nodes)
    if not address:
        raise ProcessesError("SLURM_STEP_NODELIST is not set: start with srun, or set MASTER_ADDR to the first node")
    job = int(re.sub(r"\D", "", env.get("SLURM_JOB_ID", "0")) or 0) + int(env["SLURM_STEP_ID"])
    return f"tcp://{address}:{env.get('MASTER_PORT') or 20000 + job % 20000}"


def first_node(nodes: str) -> str:
    """The first of Slurm's compressed list: gpu[003-005,9],x -> gpu003."""
    first = re.match(r"(?:[^\[,]|\[[^\]]*\])*", nodes)
    assert first is not None
    return re.sub(r"\[(\d*)[^\]]*\]", r"\1", first[0])
