"""Means, norms, softmax, and which class is likeliest."""

from __future__ import annotations

from torch import Tensor

from ...errors import PackageError
from .arguments import Arguments, Operator


def layer_norm(a: Arguments) -> Tensor:
    x = a.tensor("x")
    axes = sorted(axis % x.dim() for axis in a.ints("axes"))
    centred = x - x.mean(axes, keepdim=True)
    y = centred / (centred.square().mean(axes, keepdim=True) + a.number("epsilon", 1e-5)).sqrt()
    shape = [x.shape[axis] if axis in axes else 1 for axis in range(x.dim())]
    if a.has("gamma"):
        y = y * a.tensor("gamma").reshape(shape)
    return y + a.tensor("beta").reshape(shape) if a.has("beta") else y


def batch_norm(a: Arguments) -> Tensor:
    x = a.tensor("x")

    def by_channel(vector: Tensor) -> Tensor:
        return vector.reshape(1, -1, *[1] * (x.dim() - 2))

    deviation = (a.tensor("variance") + a.number("epsilon", 1e-5)).sqrt()
    y = (x - by_channel(a.tensor("mean"))) / by_channel(deviation)
    if a.has("gamma"):
        y = y * by_channel(a.tensor("gamma"))
    return y + by_channel(a.tensor("beta")) if a.has("beta") else y


def classify(a: Arguments) -> list[Tensor]:
    """The place of the likeliest class in `classes`, and the probabilities in their order."""
    probabilities, classes = a.tensor("probabilities").flatten(), a.words("classes")
    if len(classes) != probabilities.numel():
        raise PackageError(f"there are {len(classes)} classes and {probabilities.numel()} probabilities")
    return [probabilities.argmax(), probabilities]


OPERATORS: dict[str, Operator] = {
    "layer_norm": layer_norm,
    "batch_norm": batch_norm,
    "reduce_mean": lambda a: a.tensor("x").mean(a.ints("axes"), keepdim=a.flag("keep_dims")),
    "classify": classify,
    "softmax": lambda a: a.tensor("x").softmax(a.integer("axis", -1)),
}
