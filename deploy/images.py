"""Real images for a network: of the data of its run, or of a folder."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import torch
from msgspec.structs import replace
from torch import Tensor

from supernet.values import first_line, printable

from .comparing import Example, Examples, noise_examples
from .errors import DeployError
from .origin import Origin


def examples_of(origin: Origin, number: int, folder: Path | None = None) -> Examples:
    """Images of a folder, else of the run's validation data, else noise. At most `number` of real ones."""
    if folder is not None:
        return Examples("image", images_in(folder, origin, number))
    if origin.config is not None:
        return Examples("validation image", validation_images(origin, number))
    return noise_examples(origin.shape)


def validation_images(origin: Origin, number: int) -> Iterator[Example]:
    """A choice that is the same each time, cut as for the evaluation of a run."""
    from training.data import open_data

    config = origin.config
    assert config is not None
    alone = replace(config.data, workers=0)  # some hundred images are no work for several processes
    data = open_data(alone, config.augment, seed=config.seed, in_chans=origin.spec.in_chans)
    for images, labels in data.validation_batches(origin.spec.size, number):
        for image, label in zip(images.split(1), labels.tolist(), strict=True):
            yield Example(image, label)


def images_in(folder: Path, origin: Origin, number: int) -> Iterator[Example]:
    """The image files in a folder and in those below it, in the order of their names."""
    from timm.data.readers.img_extensions import get_img_extensions

    here = printable(str(folder))
    if not folder.is_dir():
        raise DeployError(f"{here} is no folder of images")
    kinds = set(get_img_extensions())
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in kinds and file.is_file())
    if not files:
        raise DeployError(f"{here} has no images: looked for {', '.join(sorted(kinds))}")
    from training.data.pipeline import decoded
    from training.data.transforms import Finish, evaluation_transform

    transform = evaluation_transform(origin.augment, origin.spec.size)
    finish = Finish(origin.augment, origin.spec.in_chans)
    for file in itertools.islice(files, number):
        try:
            image = decoded(file.read_bytes())
        except Exception as error:  # a broken file makes Pillow's decoders raise almost anything
            raise DeployError(f"{printable(str(file))} can't be read as an image: {first_line(error)}") from None
        yield Example(finish([transform(image)], None))


class Pixels:
    """From a normalised image to that of 8 bits which it came from, and back."""

    def __init__(self, origin: Origin) -> None:
        self._mean, self._std = (
            255 * torch.tensor(one)[:, None, None] for one in (origin.augment.mean, origin.augment.std)
        )

    def of(self, image: Tensor) -> Tensor:
        """Noise becomes the nearest image."""
        return (image * self._std + self._mean).round().clamp(0, 255)

    def normalised(self, pixels: Tensor) -> Tensor:
        return (pixels - self._mean) / self._std
