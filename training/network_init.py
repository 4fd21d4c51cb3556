"""The weights that a network starts from: those it has in a trained supernet, of another run, or of a checkpoint."""

from __future__ import annotations

import logging
from pathlib import Path

from supernet import Network, SpecError, WeightsError, load_weights
from supernet.values import printable
from supernet.weights.fitting import fit_state
from supernet.weights.loading import check_report

from .calibration import calibrate
from .data import Data
from .network_config import NetworkConfig
from .network_folder import WEIGHTS, is_network_run, read_results
from .precision import Precision
from .processes import Processes
from .supernet_folder import is_supernet_run, read_setting, read_supernet

logger = logging.getLogger("training")
CALIBRATION_IMAGES = 1024
"""Training images from which a member of a supernet gets batch-norm statistics."""


def init_network(net: Network, config: NetworkConfig, data: Data, precision: Precision, us: Processes) -> str:
    """Says what was taken. SpecError with what does not fit: the network starts from all of it or not at all."""
    path = Path(config.init).expanduser()
    if not path.exists():
        raise SpecError("init", f"there is no {printable(config.init)}")
    try:
        if not path.is_dir():
            return _said(load_weights(net, path).changed, f"weights of {path.name}")
        if is_network_run(path):
            read_results(path)
            return _said(load_weights(net, path / WEIGHTS).changed, f"weights of the run {path.name}")
        if not is_supernet_run(path):
            what = "neither a run of train_supernet.py or retrain.py nor a checkpoint"
            raise SpecError("init", f"{printable(config.init)} is {what}")
        return _from_supernet(net, path, data, precision, us)
    except WeightsError as error:
        raise SpecError("init", str(error)) from None


def _from_supernet(net: Network, folder: Path, data: Data, precision: Precision, us: Processes) -> str:
    _, space = read_setting(folder)
    spec = net.spec
    member = spec.with_(num_classes=space.num_classes, in_chans=space.in_chans)
    if spec.resolution not in space.resolutions:  # trained for other images than the supernet
        member = member.with_(resolution=space.largest().resolution)
    try:
        space.encode(member)
    except SpecError as error:
        raise SpecError("init", f"{printable(str(folder))}: the network is not in its space: {error}") from None
    if spec.in_chans != space.in_chans:
        raise SpecError("init", f"the supernet takes {space.in_chans} channels, the network {spec.in_chans}")
    supernet, checkpoint = read_supernet(folder)
    precision.place_net(supernet)
    calibrate(supernet.subnet(member), data.calibration_batches(member.size, CALIBRATION_IMAGES), precision, us)
    state = {name: tensor.cpu() for name, tensor in supernet.extract(member).state_dict().items()}
    fitting, report = fit_state(net, state, {}, str(checkpoint))
    check_report(report, str(checkpoint), strict=True)
    net.load_state_dict(fitting, strict=False)
    return _said(report.changed, f"weights of the supernet {folder.name}")


def _said(changed: list[str], what: str) -> str:
    return f"{what} ({'; '.join(changed)})" if changed else what
