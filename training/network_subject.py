"""One network as what a run trains."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from supernet import NetSpec, Network, SpecError, build, count, format_spec, load_spec, set_drop_path
from supernet.elastic.norms import synced_copy
from supernet.options import Size

from .calibration import batch_norms, calibrate
from .data import Data
from .evaluation import evaluate, scores_row
from .moving import FlatGradients, Mover
from .network_config import NetworkConfig
from .network_folder import begin_network, write_network
from .network_init import init_network
from .network_step import NetworkStep
from .optimization import make_optimizer
from .precision import Precision
from .processes import Processes
from .randomness import Purpose, seed_from
from .subject import NETWORK, Member, Outcome
from .teacher import make_teacher


class NetworkSubject:
    def __init__(self, config: NetworkConfig) -> None:
        self.config = config
        self.spec = wanted_spec(config)
        self.file = "spec.yaml"
        self.in_chans = self.spec.in_chans
        self.label_smoothing = config.step.label_smoothing
        self.evaluate_every = config.evaluate.every
        self._sizes = [spec.size for spec in specs_of_steps(self.spec, config)]
        self._progress = 0.0

    def make_net(self, data: Data, precision: Precision, us: Processes, fresh: bool) -> None:
        config = self.config
        if data.num_classes < 2:
            raise SpecError("data", "its images are all of one class: there is nothing to tell apart")
        self.spec = self.spec.with_(num_classes=data.num_classes)
        self._data, self._precision, self._us = data, precision, us
        net = build(self.spec, drop_path=config.step.drop_path, dropout=config.step.dropout)
        self.init_report = init_network(net, config, data, precision, us) if config.init and fresh else ""
        if config.sync_norm:
            synced_copy(net)
        if config.freeze_norm:
            for norm in batch_norms(net):
                norm.requires_grad_(False)
        self.net: Network = net

    def make_optimizer(self, images_per_step: int) -> torch.optim.Optimizer:
        return make_optimizer(self.net, self.config.optimizer, images_per_step, self.config.layer_decay)

    def prepare(self, optimizer: torch.optim.Optimizer, average: nn.Module | None) -> None:
        config, precision = self.config, self._precision
        self._average = average
        teacher = make_teacher(config.step.teacher, "step.teacher", config.augment, self.spec, self._sizes, precision)
        if self.spec.distilled:
            self.net.set_distilled_training(teacher is not None)
        run: Any = torch.compile(self.net) if config.precision.compile else self.net
        gradients = FlatGradients(self.net.parameters())
        trained = [parameter for parameter in self.net.parameters() if parameter.requires_grad]
        mover = Mover(trained, optimizer, config.optimizer, precision)
        self._step = NetworkStep(run, gradients, mover, config.step, precision, self._us, teacher, average)
        self.scaler = mover.scaler

    def copy_net(self) -> Network:
        return copy.deepcopy(self.net)

    def write(self, folder: Path) -> None:
        begin_network(folder, self.spec)

    def about(self) -> str:
        cost = count(self.spec)
        height, width = self.spec.size
        first = f"{self.init_report}; " if self.init_report else ""
        return f"{first}{cost.params / 1e6:.3g} M parameters, {cost.macs / 1e6:,.3g} M MACs at {height}x{width}"

    # --- steps ---------------------------------------------------------------------------------------------------

    def begin_epoch(self, epoch: int) -> None:
        """Nothing changes."""

    def begin_step(self, step: int, steps_per_epoch: int, progress: float) -> None:
        self._progress = progress
        if not self.net.training:
            self.net.train()
        if self.config.freeze_norm:
            for norm in batch_norms(self.net):
                norm.eval()
        if self.config.step.drop_path_grows:
            set_drop_path(self.net, self.config.step.drop_path * progress)

    def members(self, step: int, progress: float) -> list[Member]:
        return [Member(NETWORK, self.spec)]

    def size(self, step: int) -> Size:
        return self._sizes[seed_from(self.config.seed, step, Purpose.RESOLUTION) % len(self._sizes)]

    def step(
        self, members: Sequence[Member], batches: Iterator[tuple[Tensor, Tensor]], parts: int, epoch: int
    ) -> Outcome:
        return self._step(batches, parts, self._progress)

    @property
    def learns(self) -> bool:
        return False

    def learn(self, members: Sequence[Member], losses: Sequence[float]) -> None:
        """There is one network only."""

    # --- results -------------------------------------------------------------------------------------------------

    def evaluate(self, net: nn.Module, data: Data) -> Iterator[dict[str, Any]]:
        options, size = self.config.evaluate, self.spec.size
        self._share_statistics(net)
        if options.calibration_images:
            batches = data.calibration_batches(size, options.calibration_images)
            calibrate(net, batches, self._precision, self._us)
        scores = evaluate(net, data.validation_batches(size, options.images), self._precision, self._us)
        yield scores_row(NETWORK, scores, self.spec) | {"images": scores.images}

    def finish(self, folder: Path, net: nn.Module, rows: Sequence[Mapping[str, Any]]) -> None:
        assert isinstance(net, Network)
        (row,) = rows
        schedule = self.config.schedule
        epochs = schedule.epochs + schedule.cooldown_epochs
        write_network(folder, net, self._data.classes, {key: row[key] for key in row if key != "name"}, epochs)

    # --- checkpoints ---------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Batch norms of several processes have seen different images, unless they are exchanged."""
        if self._us.world == 1 or self.config.sync_norm:
            return {}
        own = [[tensor.cpu() for tensor in _statistics(net)] for net in self._nets()]
        return {"statistics": self._us.gather(own)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        known = state.get("statistics")
        if known is None:
            return
        mine = known[self._us.rank % len(known)]
        for net, tensors in zip(self._nets(), mine, strict=True):
            for norm, tensor in zip(_statistics(net), tensors, strict=True):
                norm.copy_(tensor)

    def written_for(self) -> dict[str, str]:
        network = hashlib.blake2b(format_spec(self.spec).encode(), digest_size=8).hexdigest()
        frozen = str(self.config.freeze_norm)
        return {"network": network, "layer decay": str(self.config.layer_decay), "frozen norms": frozen}

    def _nets(self) -> list[nn.Module]:
        return [self.net] if self._average is None else [self.net, self._average]

    def _share_statistics(self, net: nn.Module) -> None:
        """The mean over processes: all evaluate the same network."""
        if self._us.world == 1 or self.config.sync_norm:
            return
        tensors = _statistics(net)
        flat = self._us.sum_(torch.cat([tensor.double().flatten() for tensor in tensors])) / self._us.world
        for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))


def wanted_spec(config: NetworkConfig) -> NetSpec:
    """As the options change it; SpecError with the option that can't be."""
    try:
        spec = load_spec(config.spec)
    except SpecError as error:
        raise SpecError("spec", str(error)) from None
    for field in ("resolution", "distilled"):
        value = getattr(config, field)
        if value is not None:
            try:
                spec = spec.with_(**{field: value})
            except SpecError as error:
                raise SpecError(field, str(error)) from None
    return spec


def specs_of_steps(spec: NetSpec, config: NetworkConfig) -> list[NetSpec]:
    """The network at each size of images that steps learn from."""
    found = []
    for index, side in enumerate(config.step.resolutions):
        where = f"step.resolutions[{index}]"
        if spec.fixed_size and spec.size != (side, side):
            raise SpecError(where, f"{side} can't be: the network has position tables for its own size only")
        try:
            found.append(spec.with_(resolution=side))
        except SpecError as error:
            raise SpecError(where, str(error)) from None
    return found or [spec]


def _statistics(net: nn.Module) -> list[Tensor]:
    return [buffer for buffer in net.buffers() if buffer.is_floating_point()]
