"""The images that models are judged on, made ready for each as it knows them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec.structs import replace
from torch import Tensor

from supernet import SpecError
from supernet.options import Size
from supernet.values import printable, show

from ..config import AugmentConfig
from ..data import Data, open_data
from ..network_folder import CLASSES
from ..processes import Processes
from .config import JudgingConfig
from .models import Model, check_classes

logger = logging.getLogger("training")

Split = Literal["train", "validation", "held_out"]


class Images:
    """The data set as each model wants to see it. Models that are alike in that share what was opened."""

    def __init__(self, config: JudgingConfig, split: Split, us: Processes) -> None:
        self.config, self.split, self._us = config, split, us
        self._opened: dict[tuple[AugmentConfig, int], Data] = {}
        if split == "held_out" and not config.data.held_out:
            raise SpecError("--split", "no images are held out: data.held_out is 0")

    def of(self, model: Model, crop_pct: float | None) -> Data:
        try:
            key = model.augment(crop_pct), model.in_chans
        except SpecError as error:
            where = "--crop-pct" if error.path == "crop_pct" else printable(model.name)
            raise SpecError(where, error.message) from None
        if key not in self._opened:
            data = replace(self.config.data, batch_size=1)  # of training: such a batch is never made, and always fits
            self._opened[key] = open_data(
                data, key[0], seed=self.config.seed, rank=self._us.rank, world=self._us.world, in_chans=key[1]
            )
        return self._opened[key]

    def check(self, model: Model, crop_pct: float | None) -> None:
        """Whether the model and the data speak of the same classes and, where it matters, images."""
        data = self.of(model, crop_pct)
        if data.num_classes < 2:
            raise SpecError("data", "its images are all of one class: there is nothing to tell apart")
        check_classes(model, data.num_classes)
        if self.split == "held_out" and model.data is not None:
            theirs, ours = (model.data.held_out, model.seed), (self.config.data.held_out, self.config.seed)
            if theirs != ours:
                raise SpecError(
                    "--split",
                    f"{printable(model.name)} was trained on some of these images: it held out {theirs[0]:,} by the "
                    f"seed {theirs[1]}, and these are {ours[0]:,} by the seed {ours[1]}",
                )
        _compare_names(model, data.classes)

    def count(self, data: Data) -> int:
        return {"train": data.num_train, "validation": data.num_validation, "held_out": data.num_held_out}[self.split]

    def batches(self, data: Data, size: Size) -> Iterator[tuple[Tensor, Tensor]]:
        if self.split == "train":
            return data.calibration_batches(size, data.num_train)
        return data.held_out_batches(size) if self.split == "held_out" else data.validation_batches(size)


def _compare_names(model: Model, classes: Sequence[str]) -> None:
    if not (model.classes and classes):
        return
    for number, (theirs, ours) in enumerate(zip(model.classes, map(printable, classes), strict=True)):
        if theirs != ours:
            logger.warning(
                "%s: its %s and the data name classes differently, first class %d: %s there, %s in the data",
                printable(model.name),
                CLASSES,
                number,
                show(theirs),
                show(ours),
            )
            return
