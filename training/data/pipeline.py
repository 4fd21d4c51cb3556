"""From the places of images to batches, in this process or in workers, with the same result.

A request says everything about a batch; whoever gets it makes the same one. Workers are forked for each pass, which
costs little and shares what is in memory; they never touch a GPU, log nothing, and leave signals to the main process.
"""

from __future__ import annotations

import atexit
import io
import logging
import multiprocessing
import re
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from supernet.options import Size
from supernet.values import printable

from ..config import AugmentConfig
from ..randomness import Purpose, global_generators_kept, seed_from, seed_global_generators
from .sources import DataError, Source
from .transforms import Finish, ImageTransform, evaluation_transform, train_transform

logger = logging.getLogger("training")

LONGEST_SIDE = 200
"""Times the shorter one. It is the shorter one that a size is given for, and the longer one becomes as long as it may:
a line of a million pixels would fill the memory."""
WARNINGS = 5
"""So many unreadable images are named in the log."""


class Request(NamedTuple):
    """A batch: which of a `Subset`'s images at which size. `seeds`, one for each image, if it is to be augmented."""

    images: np.ndarray
    size: Size
    seeds: list[tuple[int, ...]] | None


class Failure(NamedTuple):
    """An unreadable image: its number in the source, its name, and what is wrong."""

    number: int
    name: str
    reason: str


class Batch(NamedTuple):
    """Normalised images and labels, or None where no image could be read."""

    tensors: tuple[Tensor, Tensor] | None
    failures: list[Failure]


@dataclass
class Unreadable:
    """The unreadable images seen so far: each counts once, however often it was tried."""

    limit: int
    seen: set[tuple[str, int]] = field(default_factory=set)

    def note(self, split: str, failures: Sequence[Failure]) -> None:
        """Raises DataError beyond the limit."""
        for failure in failures:
            if (split, failure.number) in self.seen:
                continue
            self.seen.add((split, failure.number))
            if len(self.seen) <= WARNINGS:
                logger.warning("unreadable image %s: %s", printable(failure.name), failure.reason)
            if len(self.seen) > self.limit:
                raise DataError(
                    f"{len(self.seen)} unreadable images, and data.unreadable_limit is {self.limit}: the last one is "
                    f"{printable(failure.name)}: {failure.reason}"
                )


class Subset:
    """Some images of a source, their labels, and how they become a batch."""

    def __init__(
        self,
        split: str,
        source: Source,
        labels: np.ndarray,
        members: np.ndarray,
        augment: AugmentConfig,
        in_chans: int,
        most: int,
    ) -> None:
        """`most`: more failures in one batch than this, and the batch is given up."""
        self.split = split
        self._source, self._labels, self._members = source, labels, members
        self._augment, self._finish, self._most = augment, Finish(augment, in_chans), most
        self._transforms: dict[tuple[bool, Size], ImageTransform] = {}

    def __len__(self) -> int:
        return len(self._members)

    def batch(self, request: Request) -> Batch:
        """The global generators are left as they were."""
        with global_generators_kept():
            return self._batch(request)

    def _batch(self, request: Request) -> Batch:
        transform = self._transform(request.size, training=request.seeds is not None)
        images: list[Image.Image] = []
        labels: list[int] = []
        failures: list[Failure] = []
        for number, place in enumerate(request.images):
            found = self._readable(int(place), failures, tries=1 if request.seeds is None else len(self))
            if found is None:
                if len(failures) > self._most or request.seeds is not None:
                    return Batch(None, failures)
                continue
            index, image = found
            if request.seeds is not None:
                seed_global_generators(seed_from(*request.seeds[number], Purpose.AUGMENT))
            images.append(transform(image))
            labels.append(int(self._labels[index]))
        if not images:
            return Batch(None, failures)
        return Batch((self._finish(images, request.seeds), torch.tensor(labels)), failures)

    def _readable(self, place: int, failures: list[Failure], tries: int) -> tuple[int, Image.Image] | None:
        """The image here, or the next one that can be read."""
        for step in range(tries):
            index = int(self._members[(place + step) % len(self)])
            try:
                return index, decoded(self._source.read(index))
            except MemoryError:
                raise
            except Exception as error:  # a broken file makes Pillow's decoders raise almost anything
                failures.append(Failure(index, self._source.name(index), _in_words(error)))
            if len({failure.number for failure in failures}) > self._most:
                return None
        return None

    def _transform(self, size: Size, *, training: bool) -> ImageTransform:
        if (training, size) not in self._transforms:
            make = train_transform if training else evaluation_transform
            self._transforms[training, size] = make(self._augment, size)
        return self._transforms[training, size]


def decoded(content: bytes | memoryview | Image.Image) -> Image.Image:
    image = content if isinstance(content, Image.Image) else Image.open(io.BytesIO(content))
    if max(image.size) > LONGEST_SIDE * min(image.size):
        raise OSError(f"{image.width} x {image.height} pixels")
    image.load()  # until then only the header was read
    return image if image.mode == "RGB" else image.convert("RGB")


def _in_words(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):  # its text is the address of a buffer
        return "not an image of any kind that Pillow knows"
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def batches(
    subset: Subset, requests: Iterator[Request], workers: int, unreadable: Unreadable, *, all_needed: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """One batch for each request, in their order. Requests are taken ahead of time where there are workers.

    A batch of which nothing can be read is left out, or a DataError where all are needed.
    """
    pin = torch.cuda.is_initialized()  # a run on the CPU needs no pinned memory, and no context on a GPU for it
    for tensors, failures in _from_workers(subset, requests, workers, pin) if workers else map(subset.batch, requests):
        unreadable.note(subset.split, failures)
        if tensors is not None:
            images, labels = tensors
            yield (images.pin_memory(), labels.pin_memory()) if pin and not workers else (images, labels)
        elif all_needed:
            raise DataError(
                f"no {subset.split} image can be read: {printable(failures[-1].name)}: {failures[-1].reason}"
            )


class _Requested(Dataset[Batch]):
    """A subset as the DataLoader wants it: its index is a request."""

    def __init__(self, subset: Subset) -> None:
        self._subset = subset

    def __getitem__(self, request: Request) -> Batch:
        return self._subset.batch(request)


def _from_workers(subset: Subset, requests: Iterator[Request], workers: int, pin: bool) -> Iterator[Batch]:
    with warnings.catch_warnings():  # more workers than cores are a choice: they wait for discs
        warnings.filterwarnings("ignore", "This DataLoader will create")
        loader: DataLoader[Batch] = DataLoader(
            _Requested(subset),
            sampler=requests,
            batch_size=None,
            num_workers=workers,
            collate_fn=_as_it_is,
            pin_memory=pin,
            worker_init_fn=_leave_signals,
            multiprocessing_context=multiprocessing.get_context("fork") if sys.platform == "linux" else None,
            generator=torch.Generator(),  # else it draws a number from the global one
        )
        running = _Pass(loader)
    try:
        yield from running
    except (RuntimeError, EOFError, ConnectionError) as error:
        what = " ".join(str(error).split())[:300]
        if not isinstance(error, RuntimeError):  # it died while it wrote
            what = f"a DataLoader worker exited unexpectedly ({type(error).__name__})."
        elif not re.search(r"DataLoader worker .*(killed by signal|exited unexpectedly)", what):
            raise
        raise DataError(
            f"a process that reads images died: {what} Where memory is short, fewer data.workers or a smaller "
            "data.batch_size help"
        ) from error
    finally:
        running.end()


class _Pass(Iterator[Batch]):
    """One iteration of a DataLoader. It ends with the interpreter, even if somebody still holds it.

    Otherwise Python would send its workers SIGTERM, which they ignore, and wait for them for ever.
    """

    def __init__(self, loader: DataLoader[Batch]) -> None:
        self._iterator: Iterator[Batch] | None = iter(loader)
        atexit.register(self.end)

    def __next__(self) -> Batch:
        if self._iterator is None:
            raise StopIteration
        return next(self._iterator)

    def end(self) -> None:
        """The DataLoader stops its workers when its iterator is gone."""
        self._iterator = None
        atexit.unregister(self.end)


def _as_it_is(batch: Any) -> Any:
    return batch


def _leave_signals(worker: int) -> None:
    """Ctrl-C and a cluster's SIGTERM reach all processes: the main one decides, and needs its batches until then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
