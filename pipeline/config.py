"""What a whole way from images to packages is, as typed and frozen options.

Beside these, a config has three sections with the options of the commands themselves: `supernet` (docs/training.md),
`search` (docs/search.md) and `retrain` (docs/retraining.md); `like` in a section names a config whose options hold as
far as the section says no others. What several stages share is said once, here.
"""

from __future__ import annotations

from typing import Annotated

from deploy.compressing import COMPRESSIONS
from supernet.options import Options
from supernet.values import Choice, Limit, SpecError, show
from training.config import Count, DataConfig, Positive

FORMATS = {"coreml": ".mlpackage", "onnx": ".onnx"}


class DeviceConfig(Options, frozen=True):
    """A device that latencies are for: measured, or with a table that is there already."""

    name: str
    """Such as iphone13: `latency iphone13` is a metric of the budget then."""
    by: Annotated[str, Choice(("onnxruntime", "torch", "cuda", "coreml", "iphone"))] = "onnxruntime"
    """Who runs the networks that are measured; coreml and iphone need a Mac."""
    threads: Positive = 1
    """Of this computer's processor."""
    networks: Annotated[int, Limit(3, 10**6)] = 30
    """Whole networks that are measured beside the blocks."""
    jobs: Positive = 1
    """Processes that make the files of it; Core ML takes 1 GB in each."""
    protocol: tuple[str, ...] = ()
    """Changes of how it is measured, such as rounds=3."""
    compute_units: Annotated[str, Choice(("all", "cpu_and_ne", "cpu_and_gpu", "cpu_only"))] = "all"
    """Of Core ML."""
    team: str = ""
    """Identifier of the Apple team that signs the app on an iPhone."""
    phone: str = ""
    """Name, model or UDID, where several are connected."""
    table: str = ""
    """A table of `python -m latency_lut measure`; nothing is measured then."""
    device: str = ""
    """Number or words, where that table has several devices."""


class NetworksConfig(Options, frozen=True):
    """Which networks are trained, by the recipe of the section `retrain`. The best one always is."""

    from_supernet: bool = True
    """Whether found networks start from their weights in the supernet."""
    front: Count = 0
    """So many others of the search's front too, spread over it."""
    beside: tuple[str, ...] = ()
    """Published networks, at the space's largest resolution, or files of others: trained by the same recipe from random
    weights, to compare with."""


class PackagesConfig(Options, frozen=True):
    """What an app gets of the best network."""

    formats: tuple[Annotated[str, Choice(tuple(FORMATS))], ...] = tuple(FORMATS)
    """Each file is compared with the network it is made from."""
    image: bool = True
    """Whether the Core ML package takes an image and gives a class."""
    compress: Annotated[str, Choice(("", *COMPRESSIONS))] = ""
    """Also a Core ML package with weights of fewer bits; empty: none."""
    tolerance: Annotated[float, Limit(1e-6, 1)] = 0.25
    """How far the compressed one may be off, as a share of the largest score."""


class PipelineConfig(Options, frozen=True):
    """The shared part of a config."""

    space: str
    """Name or file of a space."""
    data: DataConfig
    """For supernet and networks. Networks are trained on the images that the supernet holds out, too."""
    budget: tuple[str, ...] = ()
    """What the found network keeps, such as latency iphone13 <= 1.0 ms, params <= 7 M."""
    devices: tuple[DeviceConfig, ...] = ()
    """Those whose latencies the search may use."""
    networks: NetworksConfig = NetworksConfig()
    packages: PackagesConfig = PackagesConfig()
    launch: tuple[str, ...] = ()
    """What starts the commands that train, instead of Python: [torchrun, --nproc-per-node, "8"]."""

    def __post_init__(self) -> None:
        super().__post_init__()
        names = [device.name for device in self.devices]
        for index, name in enumerate(names):
            if not name.replace("-", "").replace("_", "").isalnum():
                rule = "is no name of a device, which has letters, digits, - and _"
                raise SpecError(f"devices[{index}].name", f"{show(name)} {rule}")
            if name in names[:index]:
                raise SpecError(f"devices[{index}].name", f"{show(name)} is there twice")
