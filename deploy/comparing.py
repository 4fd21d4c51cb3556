"""How far what a file gives is from what it should give, image by image."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from supernet.values import counted, printable

from .errors import DeployError, PackageError
from .tracing import Shape

HALF_TOLERANCE = 2e-3
"""fp16 keeps 11 bits, so a single rounding is up to 5e-4."""
FLOAT_TOLERANCE = 1e-5
NOISE_IMAGES = 2


@dataclass(frozen=True)
class Example:
    """One image (1, channels, height, width) as the network takes it, and its class where it is known."""

    image: Tensor
    label: int | None = None


@dataclass(frozen=True)
class Examples:
    what: str
    """Such as `validation image`."""
    each: Iterator[Example]


@dataclass(frozen=True)
class Difference:
    """`error` is the largest difference of a number on any image, relative to the largest number of the same output on
    all of them: an image that no class is likely for has small scores, and is no worse for it.
    """

    path: Path
    error: float
    tolerance: float
    images: int
    what: str = "noise image"
    same_class: int | None = None
    """Images that get the same class from both; None where there are no classes."""
    correct: tuple[int, int] | None = None
    """Images whose class is right, by the source and by the file; None where nobody knows."""
    other_class: str = ""
    """Where the file calls a class by another name."""

    @property
    def ok(self) -> bool:
        return self.error <= self.tolerance and not self.other_class  # not a number is no success

    def __str__(self) -> str:
        judgement = "computes the same as" if self.ok else "DIFFERS from"
        parts = [
            f"{printable(self.path.name)} {judgement} its source: relative error {self.error:.1e}, "
            f"tolerance {self.tolerance:.0e}, on {counted(self.images, self.what)}",
            self.other_class,
            "" if self.same_class is None else f"the same class on {self.same_class:,} of {self.images:,}",
            self.accuracies(),
        ]
        return "; ".join(filter(None, parts))

    def figures(self) -> dict[str, Any]:
        """Plain data; None where something is not known, and where an error is not a number."""
        top1 = None if self.correct is None else [100 * right / self.images for right in self.correct]
        return {
            "file": self.path.name,
            "ok": self.ok,
            "error": self.error if math.isfinite(self.error) else None,
            "tolerance": self.tolerance if math.isfinite(self.tolerance) else None,
            "images": self.images,
            "what": self.what,
            "same_class": self.same_class,
            "source_top1": top1 and top1[0],
            "file_top1": top1 and top1[1],
            "other_class": self.other_class,
        }

    def accuracies(self) -> str:
        """In words; empty where nobody knows the classes."""
        if self.correct is None:
            return ""
        source, file = (100 * right / self.images for right in self.correct)
        return f"top-1 {source:.2f} % by the source, {file:.2f} % by the file"


def noise_examples(shape: Shape) -> Examples:
    return Examples("noise image", (Example(noise(shape, seed)) for seed in range(NOISE_IMAGES)))


def noise(shape: Shape, seed: int) -> Tensor:
    """Exact in fp16, so that rounding the input is no part of a difference."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).half().float()


def compare(
    path: Path,
    actual: Callable[[Tensor], list[Tensor]],
    expected: Callable[[Tensor], list[Tensor]],
    examples: Examples,
    tolerance: float,
    *,
    are_scores: bool = False,
    other_class: str = "",
) -> Difference:
    """With `are_scores`, there is one output, and its largest number is the class."""
    images, same, right, labelled = 0, 0, [0, 0], 0
    apart: dict[int, list[float]] = {}
    large: dict[int, list[float]] = {}
    for example in examples.each:
        wanted, given = expected(example.image), actual(example.image)
        _check_shapes(path, wanted, given)
        images += 1
        for output, (one, other) in enumerate(zip(given, wanted, strict=True)):
            apart.setdefault(output, []).append(float((one - other).abs().max()))
            large.setdefault(output, []).append(float(other.abs().max()))
        if are_scores:
            classes = [int(one[0].argmax()) for one in (wanted, given)]
            same += classes[0] == classes[1]
            right = [so_far + (one == example.label) for so_far, one in zip(right, classes, strict=True)]
        labelled += example.label is not None
    if not images:
        raise DeployError(f"there is no {examples.what} to compare {printable(str(path))} on")
    return Difference(
        path,
        max((_relative(apart[output], large[output]) for output in apart), key=_badness),
        tolerance,
        images,
        examples.what,
        same if are_scores else None,
        (right[0], right[1]) if are_scores and labelled == images else None,
        other_class,
    )


def _relative(differences: list[float], values: list[float]) -> float:
    difference, value = max(differences, key=_badness), max(values, key=_badness)
    if not difference:
        return 0.0
    return difference / value if value else math.inf


def _badness(error: float) -> tuple[bool, float]:
    """Not a number is worst."""
    return error != error, error


def _check_shapes(path: Path, wanted: list[Tensor], given: list[Tensor]) -> None:
    shapes = [[tuple(one.shape) for one in several] for several in (given, wanted)]
    if shapes[0] != shapes[1]:
        first, second = (", ".join(map(str, several)) for several in shapes)
        raise PackageError(f"{printable(str(path))} gives {first}, its source {second}")
