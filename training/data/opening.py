"""The data of a run: its splits opened and checked against each other, and the batches that come from them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from torch import Tensor

from supernet.options import Size
from supernet.values import SpecError, printable, show

from ..config import AugmentConfig, DataConfig
from ..randomness import Purpose
from .digits import Digits
from .folder import Folder
from .order import TrainOrder, choice, held_out
from .parquet import Parquet
from .pipeline import Request, Subset, Unreadable, batches
from .shards import open_class_tars, open_webdataset
from .sources import DataError, Source, data_directory, split_directory, split_files
from .transforms import check_augment

logger = logging.getLogger("training")


def open_data(
    config: DataConfig, augment: AugmentConfig, *, seed: int, rank: int = 0, world: int = 1, in_chans: int = 3
) -> Data:
    """Opens both splits. Raises SpecError for what the options can't mean here, DataError for broken files."""
    check_augment(augment)
    train = _open_split(config, "data.train", config.train)
    validation = _open_split(config, "data.validation", config.validation)
    num_classes = _num_classes(config, train)
    _check_labels(train, num_classes, "data.train")
    validation_labels = _matched(train, validation)
    _check_labels(validation, num_classes, "data.validation", validation_labels)
    return Data(
        config,
        augment,
        train,
        validation,
        validation_labels,
        num_classes,
        seed=seed,
        rank=rank,
        world=world,
        in_chans=in_chans,
    )


class Data:
    """Batches are images (batch, in_chans, height, width), float32 and normalised, and labels (batch,), int64.

    Every pass follows from the seed and its arguments, never from passes before it.
    """

    def __init__(
        self,
        config: DataConfig,
        augment: AugmentConfig,
        train: Source,
        validation: Source,
        validation_labels: np.ndarray,
        num_classes: int,
        *,
        seed: int,
        rank: int,
        world: int,
        in_chans: int,
    ) -> None:
        assert 0 <= rank < world, f"rank {rank} of {world}"
        available = len(train.labels)
        if config.held_out >= available:
            raise SpecError(
                "data.held_out", f"{config.held_out:,} of {available:,} training images leave none to train on"
            )
        members, aside = held_out(available, seed, config.held_out)
        self.num_classes = num_classes
        self.classes = train.classes
        """Names of the classes, empty where the data has none."""
        self.num_train, self.num_held_out, self.num_validation = len(members), len(aside), len(validation_labels)
        self._config, self._seed, self._rank, self._world = config, seed, rank, world
        self._order = TrainOrder(len(members), seed, config.batch_size, rank, world, augment.repeats)
        self.steps_per_epoch = self._order.steps
        """Micro-steps of each process in one epoch; an incomplete batch at the end is left out."""
        if not self.steps_per_epoch:
            beside = f" on each of {world} processes" if world > 1 else ""
            raise SpecError(
                "data.batch_size",
                f"{config.batch_size:,}{beside} is more than the {self.num_train:,} training images"
                + (f" that data.held_out leaves, {config.held_out:,}" if config.held_out else ""),
            )
        self._workers = 0 if config.source == "digits" else config.workers  # to start them takes longer than digits do
        self._unreadable = Unreadable(config.unreadable_limit)
        limit = config.unreadable_limit
        everything = np.arange(self.num_validation)
        self._train = Subset("train", train, train.labels, members, augment, in_chans, limit)
        self._held_out = Subset("held-out", train, train.labels, aside, augment, in_chans, limit)
        self._validation = Subset("validation", validation, validation_labels, everything, augment, in_chans, limit)

    @property
    def unreadable(self) -> int:
        """Different images of this process that could not be read so far."""
        return len(self._unreadable.seen)

    def train_batches(self, epoch: int, start: int, size_of: Callable[[int], Size]) -> Iterator[tuple[Tensor, Tensor]]:
        """This process's batches of an epoch, from micro-step `start` on.

        `size_of(micro_step)` is the height and width of that micro-step's images; it is asked ahead of time, in order.
        An unreadable image is replaced by the next readable one.
        """
        assert 0 <= start <= self.steps_per_epoch, f"micro-step {start} of {self.steps_per_epoch}"
        requests = self._train_requests(epoch, start, size_of)
        return batches(self._train, requests, self._workers, self._unreadable, all_needed=True)

    def validation_batches(self, size: Size, images: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """This process's part of the validation images: together the processes have each once.

        The last batch is smaller. With `images`, only the first so many of a fixed choice. In this and the following
        passes an unreadable image is left out, and a process may get one batch more than another.
        """
        chosen = np.arange(self.num_validation)
        if 0 < images < self.num_validation:
            chosen = np.sort(choice(self.num_validation, images, self._seed, Purpose.SUBSET))
        return self._evaluation_batches(self._validation, chosen, size)

    def held_out_batches(self, size: Size) -> Iterator[tuple[Tensor, Tensor]]:
        """The same of the held-out training images."""
        return self._evaluation_batches(self._held_out, np.arange(self.num_held_out), size)

    def calibration_batches(self, size: Size, images: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The same of `images` training images (or all, if they are fewer), a fixed choice, cut as for evaluation."""
        chosen = choice(self.num_train, images, self._seed, Purpose.CALIBRATION)
        return self._evaluation_batches(self._train, chosen, size)

    def _train_requests(self, epoch: int, start: int, size_of: Callable[[int], Size]) -> Iterator[Request]:
        order = self._order.epoch(epoch)
        for step in range(start, self.steps_per_epoch):
            part = order.part(step)
            yield Request(part.images, size_of(step), [(self._seed, epoch, position) for position in part.positions])

    def _evaluation_batches(self, subset: Subset, chosen: np.ndarray, size: Size) -> Iterator[tuple[Tensor, Tensor]]:
        mine, batch = chosen[self._rank :: self._world], self._config.eval_batch_size
        requests = (Request(mine[first : first + batch], size, None) for first in range(0, len(mine), batch))
        workers = min(self._workers, -(-len(mine) // batch))
        return batches(subset, requests, workers, self._unreadable, all_needed=False)


def _open_split(config: DataConfig, field: str, split: str) -> Source:
    if config.source == "digits":
        return Digits(validation=field == "data.validation")
    directory = data_directory(config.path)
    try:
        return _open_files(config, directory, field, split)
    except OSError as error:
        raise DataError(f"{field}: {show(split)} can't be read: {error}") from error


def _open_files(config: DataConfig, directory: Path, field: str, split: str) -> Source:
    if config.source == "folder":
        return Folder(split_directory(directory, field, split), field)
    if config.source == "parquet":
        files = split_files(directory, field, split, ".parquet")
        return Parquet(files, field, config.image_key, config.label_key)
    files = split_files(directory, field, split, ".tar")
    if config.source == "tar":
        return open_class_tars(files, field)
    return open_webdataset(files, field, config.image_key, config.label_key)


def _num_classes(config: DataConfig, train: Source) -> int:
    in_data = len(train.classes) or int(train.labels.max()) + 1
    if config.num_classes and config.num_classes < in_data:
        raise SpecError(
            "data.num_classes", f"{config.num_classes:,} is too few: the training images have {in_data:,} classes"
        )
    return config.num_classes or in_data


def _matched(train: Source, validation: Source) -> np.ndarray:
    """The validation labels in the numbers that the training images give to these classes."""
    if not (train.classes and validation.classes):
        return validation.labels
    _check_labels(validation, len(validation.classes), "data.validation")
    number = {name: index for index, name in enumerate(train.classes)}
    unknown = [name for name in validation.classes if name not in number]
    if unknown:
        shown = ", ".join(show(name) for name in unknown[:5]) + (f" and {len(unknown) - 5} more" * (len(unknown) > 5))
        raise SpecError(
            "data.validation", f"its classes {shown} are not among the {len(number):,} of the training images"
        )
    if len(validation.classes) < len(number):
        logger.warning("validation has %d of the %d classes", len(validation.classes), len(number))
    return np.array([number[name] for name in validation.classes], np.int64)[validation.labels]


def _check_labels(source: Source, num_classes: int, field: str, labels: np.ndarray | None = None) -> None:
    labels = source.labels if labels is None else labels
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if len(wrong):
        first = int(wrong[0])
        raise SpecError(
            field,
            f"{printable(source.name(first))} has the label {labels[first]}, and there are {num_classes:,} classes: "
            f"0 to {num_classes - 1:,} would be right ({len(wrong):,} labels are outside)",
        )
