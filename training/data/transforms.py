"""What happens to an image before a network sees it: timm's augmentations, made once for each size.

Images stay PIL's until they are stacked, and are normalised a batch at a time: for small images most of the time would
otherwise go into tensors of one image.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from timm.data import create_transform
from timm.data.auto_augment import posterize as timm_posterize
from timm.data.auto_augment import rand_augment_transform
from timm.data.random_erasing import RandomErasing
from timm.data.transforms import RandomResizedCropAndInterpolation, str_to_pil_interp
from torchvision.transforms import ColorJitter, Compose

from supernet.options import Size
from supernet.values import SpecError, show

from ..config import AugmentConfig
from ..randomness import Purpose, seed_from, seed_global_generators

ImageTransform = Callable[[Image.Image], Image.Image]

_RANDAUGMENT = re.compile(
    r"rand(-(m\d+|n[1-9]\d*|p[01]?(\.\d+)?|mstd(\d+(\.\d+)?)|mmax\d+|inc[01]|t(weights|3a|3aw)))*"
)


def check_augment(augment: AugmentConfig) -> None:
    """What the types of the options can't say. Raises SpecError."""
    if augment.randaugment and not _RANDAUGMENT.fullmatch(augment.randaugment):
        raise SpecError(
            "augment.randaugment",
            f"{show(augment.randaugment)} is not in timm's notation: rand, then any of -m9 -n2 -p0.5 -mstd0.5 -mmax10 "
            "-inc1 -tweights",
        )
    for name in ("scale", "ratio"):
        low, high = getattr(augment, name)
        if not 0 < low <= high:
            raise SpecError(
                f"augment.{name}", f"[{low:g}, {high:g}] is not a range of positive numbers, the smaller one first"
            )
    if 0 in augment.std:
        raise SpecError("augment.std", f"{show(augment.std)}: images are divided by it, 0 can't be")


def train_transform(augment: AugmentConfig, size: Size) -> ImageTransform:
    """From an RGB image of any size to an RGB image of this size. Draws from the global generators."""
    steps: list[ImageTransform] = [_crop(augment, size)]
    if augment.flip:
        steps.append(_Flip(augment.flip))
    if augment.randaugment:  # parameters as in timm's transforms_imagenet_train
        settings = {"translate_const": int(min(size) * 0.45), "img_mean": tuple(round(255 * x) for x in augment.mean)}
        if augment.interpolation != "random":
            settings["interpolation"] = str_to_pil_interp(augment.interpolation)
        steps.append(_randaugment(augment.randaugment, settings))
    if augment.color_jitter:
        steps.append(ColorJitter(augment.color_jitter, augment.color_jitter, augment.color_jitter))
    return steps[0] if len(steps) == 1 else Compose(steps)


def evaluation_transform(augment: AugmentConfig, size: Size) -> ImageTransform:
    """timm's: the shorter side to size / crop_pct, then the centre."""
    interpolation = "bilinear" if augment.interpolation == "random" else augment.interpolation
    steps = create_transform(size, interpolation=interpolation, crop_pct=augment.crop_pct, normalize=False).transforms
    return Compose(steps[:-1])  # the last one makes a tensor


def _crop(augment: AugmentConfig, size: Size) -> ImageTransform:
    if augment.crop == "random_resized":
        return RandomResizedCropAndInterpolation(size, augment.scale, augment.ratio, augment.interpolation)
    names = ("bilinear", "bicubic") if augment.interpolation == "random" else (augment.interpolation,)
    resize = _Resize(size, [str_to_pil_interp(name) for name in names])
    return resize if augment.crop == "none" else Compose([resize, _Shift((size[0] // 8, size[1] // 8))])


def _randaugment(notation: str, settings: dict[str, Any]) -> ImageTransform:
    made = rand_augment_transform(notation, settings)
    for operation in made.ops:
        if operation.aug_fn is timm_posterize:
            operation.aug_fn = _posterize
    return made


def _posterize(image: Image.Image, bits: int, **_: Any) -> Image.Image:
    """The strongest magnitude leaves no bit, a black image; timm has Pillow do it, which since 13 refuses."""
    return timm_posterize(image, bits) if bits > 0 else Image.new(image.mode, image.size)


class _Resize:
    """To exactly this size, whatever the shape."""

    def __init__(self, size: Size, filters: Sequence[Image.Resampling]) -> None:
        self.width_height = size[1], size[0]
        self.filters = filters

    def __call__(self, image: Image.Image) -> Image.Image:
        if image.size == self.width_height:
            return image
        return image.resize(self.width_height, random.choice(self.filters))


class _Shift:
    """By up to so many pixels down and to the right, or up and to the left; what comes in is black."""

    def __init__(self, most: Size) -> None:
        self.most = most

    def __call__(self, image: Image.Image) -> Image.Image:
        down, right = (random.randint(-most, most) for most in self.most)
        width, height = image.size
        return image.crop((right, down, right + width, down + height))


class _Flip:
    """Left to right."""

    def __init__(self, probability: float) -> None:
        self.probability = probability

    def __call__(self, image: Image.Image) -> Image.Image:
        if random.random() < self.probability:
            return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return image


class Finish:
    """Images of one size to a normalised float32 tensor (batch, in_chans, height, width), and erasing in it.

    With one channel it is the grey image, normalised by the averages of `mean` and `std`.
    """

    def __init__(self, augment: AugmentConfig, in_chans: int) -> None:
        if in_chans not in (1, 3):
            raise SpecError("space", f"its networks take {in_chans} channels: images have 3, or 1 as grey ones")
        self._grey = in_chans == 1
        mean, std = (np.mean(x, keepdims=True) if self._grey else np.array(x) for x in (augment.mean, augment.std))
        self._mean, self._std = (torch.tensor(255 * x, dtype=torch.float32).view(-1, 1, 1) for x in (mean, std))
        self._erase = RandomErasing(augment.erase, mode=augment.erase_mode, device="cpu") if augment.erase else None

    def __call__(self, images: Sequence[Image.Image], seeds: Sequence[tuple[int, ...]] | None) -> torch.Tensor:
        """`seeds`: for each image what its erasing follows from; None: nothing is erased."""
        pixels = np.stack([np.asarray(image.convert("L") if self._grey else image) for image in images])
        tensor = torch.from_numpy(pixels).view(*pixels.shape[:3], -1).permute(0, 3, 1, 2).to(torch.float32)
        tensor = tensor.contiguous().sub_(self._mean).div_(self._std)
        if self._erase is not None and seeds is not None:
            for image, seed in zip(tensor, seeds, strict=True):
                seed_global_generators(seed_from(*seed, Purpose.ERASE))
                self._erase(image)
        return tensor
