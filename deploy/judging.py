"""A file against the network that it was made from: whatever it takes and gives, on the images that there are."""

from __future__ import annotations

import torch
from torch import Tensor

from supernet.values import printable, show

from .comparing import FLOAT_TOLERANCE, HALF_TOLERANCE, Difference, Examples, compare
from .errors import DeployError
from .images import Pixels
from .opening import Opened
from .origin import Origin


@torch.no_grad()
def judge(opened: Opened, origin: Origin, examples: Examples, tolerance: float | None = None) -> Difference:
    """A file that takes pixels gets whole numbers, and a backbone is compared by all of its maps.

    A classifier is compared by the logarithms of its probabilities, which are scores again: where the likeliest classes
    are close, a probability moves further than the scores it is made of.
    """
    pixels, net = Pixels(origin) if opened.takes_pixels else None, origin.net

    def expected(image: Tensor) -> list[Tensor]:
        image = image if pixels is None else pixels.normalised(pixels.of(image))
        if opened.is_backbone:
            return list(net.forward_intermediates(image, intermediates_only=True))
        scores = net(image)
        return [_logarithm(scores.softmax(-1)) if opened.is_classifier else scores]

    def actual(image: Tensor) -> list[Tensor]:
        given = opened.run(image if pixels is None else pixels.of(image))
        return [_logarithm(given[1])[None]] if opened.is_classifier else given

    return compare(
        opened.path,
        actual,
        expected,
        examples,
        _tolerance(opened) if tolerance is None else tolerance,
        are_scores=not opened.is_backbone and origin.spec.num_classes > 0,
        other_class=_other_class(opened.classes, origin.classes),
    )


def _logarithm(probabilities: Tensor) -> Tensor:
    """Beyond what float32 can tell from zero, all are alike."""
    return probabilities.clamp(min=1e-30).log()


def _tolerance(opened: Opened) -> float:
    if opened.is_compressed:
        raise DeployError(
            f"{printable(str(opened.path))} has compressed weights, others on purpose: state by --tolerance "
            "how far its results may be off, such as 0.05"
        )
    return HALF_TOLERANCE if opened.has_half else FLOAT_TOLERANCE


def _other_class(in_file: tuple[str, ...], known: tuple[str, ...]) -> str:
    for place, (theirs, ours) in enumerate(zip(in_file, known, strict=False)):
        if theirs != ours:
            return f"it calls class {place} {show(theirs)}, not {show(ours)}"
    return ""
