"""What a run trains: a supernet, or one network. It knows what a step is; the loop knows when.

A subject comes to be in the order of these methods, as each needs what the one before it made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from supernet import NetSpec
from supernet.options import Size

from .data import Data
from .precision import Precision
from .processes import Processes

NETWORK = "network"


@dataclass(frozen=True)
class Member:
    """A network that a step trains, and its part in it: the only one, or the largest, smallest, or one of the sampled
    ones of a supernet."""

    role: str
    spec: NetSpec

    def __str__(self) -> str:
        return self.role if self.role == NETWORK else f"{self.role} subnet"


class Outcome(NamedTuple):
    """On the device. The losses of the members, one each, are means over this process's batches; whether the gradient
    is finite is the same on all processes."""

    losses: Tensor
    finite: Tensor


class Subject(Protocol):
    file: str
    """In the folder of a run, by which others know whose it is."""
    in_chans: int
    """Of the images it takes."""
    label_smoothing: float
    evaluate_every: int
    """Epochs."""
    scaler: torch.amp.GradScaler

    @property
    def net(self) -> nn.Module:
        """Its parameters are what the optimiser moves."""
        ...

    def make_net(self, data: Data, precision: Precision, us: Processes, fresh: bool) -> None:
        """For the classes of the data. `fresh`: no checkpoint will give the weights."""
        ...

    def make_optimizer(self, images_per_step: int) -> torch.optim.Optimizer: ...

    def prepare(self, optimizer: torch.optim.Optimizer, average: nn.Module | None) -> None:
        """All that a step needs beside the net; `average` is the running one of its weights."""
        ...

    def copy_net(self) -> nn.Module:
        """For the running average of the weights."""
        ...

    def write(self, folder: Path) -> None:
        """What it is, as the first file of a run, `file`."""
        ...

    def about(self) -> str: ...

    # --- steps ---------------------------------------------------------------------------------------------------

    def begin_epoch(self, epoch: int) -> None: ...

    def begin_step(self, step: int, steps_per_epoch: int, progress: float) -> None:
        """`progress` is the share of all steps that are done."""
        ...

    def members(self, step: int, progress: float) -> Sequence[Member]:
        """What the step trains: the same on all processes."""
        ...

    def size(self, step: int) -> Size:
        """Of the images of a step."""
        ...

    def step(
        self, members: Sequence[Member], batches: Iterator[tuple[Tensor, Tensor]], parts: int, epoch: int
    ) -> Outcome:
        """Takes `parts` batches of images and soft targets, then moves the weights once."""
        ...

    @property
    def learns(self) -> bool:
        """Whether losses decide which members come next."""
        ...

    def learn(self, members: Sequence[Member], losses: Sequence[float]) -> None: ...

    # --- results -------------------------------------------------------------------------------------------------

    def evaluate(self, net: nn.Module, data: Data) -> Iterator[Mapping[str, Any]]:
        """A row for each network that is watched, `top1` in percent among its fields. `net` is the subject's own, or
        the averaged one."""
        ...

    def finish(self, folder: Path, net: nn.Module, rows: Sequence[Mapping[str, Any]]) -> None:
        """After the last evaluation, on the main process: what the run leaves beside its checkpoints."""
        ...

    # --- checkpoints ---------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All that the next step depends on beside weights and optimiser. Every process is asked."""
        ...

    def load_state(self, state: Mapping[str, Any]) -> None: ...

    def written_for(self) -> dict[str, str]:
        """What must not change from one start to the next."""
        ...
