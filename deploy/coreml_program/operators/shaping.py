"""Operations that move numbers and change none."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from .arguments import Arguments, Operator


def reshape(a: Arguments) -> Tensor:
    """A size of 0 stays as it is, one of -1 follows from the others."""
    x = a.tensor("x")
    return x.reshape([size or x.shape[axis] for axis, size in enumerate(a.ints("shape"))])


def expand_dims(a: Arguments) -> Tensor:
    x, axes = a.tensor("x"), a.ints("axes")
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def squeeze(a: Arguments) -> Tensor:
    x = a.tensor("x")
    sizes = {axis for axis, size in enumerate(x.shape) if size == 1}
    return x.squeeze(tuple(axis % x.dim() for axis in a.ints("axes", sorted(sizes))))


def slice_by_index(a: Arguments) -> Tensor:
    x = a.tensor("x")
    none = [0] * x.dim()
    begins, ends, steps = a.ints("begin"), a.ints("end"), a.ints("stride", [1] * x.dim())
    from_start, to_end, single = (a.ints(f"{name}_mask", none) for name in ("begin", "end", "squeeze"))
    index: list[int | slice] = []
    for axis in range(x.dim()):
        if single[axis]:
            index.append(begins[axis])
        else:
            begin = None if from_start[axis] else begins[axis]
            index.append(slice(begin, None if to_end[axis] else ends[axis], steps[axis]))
    return x[tuple(index)]


def split(a: Arguments) -> list[Tensor]:
    return list(a.tensor("x").split(a.ints("split_sizes"), a.integer("axis")))


def pad(a: Arguments) -> Tensor:
    """The numbers before and after, for as many of the last dimensions as there are pairs."""
    a.word("mode", "constant", ("constant",))
    before_and_after = a.ints("pad")
    pairs = [before_and_after[start : start + 2] for start in range(0, len(before_and_after), 2)]
    from_the_last = [number for pair in reversed(pairs) for number in pair]
    return F.pad(a.tensor("x"), from_the_last, value=a.number("constant_val", 0.0))


OPERATORS: dict[str, Operator] = {
    "reshape": reshape,
    "transpose": lambda a: a.tensor("x").permute(a.ints("perm")),
    "expand_dims": expand_dims,
    "squeeze": squeeze,
    "slice_by_index": slice_by_index,
    "split": split,
    "pad": pad,
}
