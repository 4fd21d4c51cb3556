"""Operations on each number, and products of matrices."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import PackageError
from .arguments import Arguments, Operator


def cast(a: Arguments) -> Tensor:
    """To a float type; rounding is done where results are stored."""
    a.word("dtype", "", ("fp16", "fp32"))
    return a.tensor("x")


def gelu(a: Arguments) -> Tensor:
    a.word("mode", "EXACT", ("EXACT",))
    x = a.tensor("x")
    return x * (1 + torch.erf(x / 2**0.5)) / 2


def sigmoid_hard(a: Arguments) -> Tensor:
    return (a.number("alpha", 0.2) * a.tensor("x") + a.number("beta", 0.5)).clamp(0, 1)


def thresholded_relu(a: Arguments) -> Tensor:
    x = a.tensor("x")
    return torch.where(x >= a.number("alpha", 1.0), x, torch.zeros_like(x))


def linear(a: Arguments) -> Tensor:
    return F.linear(a.tensor("x"), a.tensor("weight"), a.optional("bias"))


def matmul(a: Arguments) -> Tensor:
    x, y = a.tensor("x"), a.tensor("y")
    x = x.transpose(-2, -1) if a.flag("transpose_x") else x
    return x @ (y.transpose(-2, -1) if a.flag("transpose_y") else y)


def scaled_dot_product_attention(a: Arguments) -> Tensor:
    """Written out, as the source network calls PyTorch's own."""
    if a.has("attn_mask"):
        raise PackageError("its attn_mask is not understood")
    query, key, value = a.tensor("query"), a.tensor("key"), a.tensor("value")
    return ((query @ key.transpose(-2, -1)) / query.shape[-1] ** 0.5).softmax(-1) @ value


OPERATORS: dict[str, Operator] = {
    "add": lambda a: a.tensor("x") + a.tensor("y"),
    "sub": lambda a: a.tensor("x") - a.tensor("y"),
    "mul": lambda a: a.tensor("x") * a.tensor("y"),
    "real_div": lambda a: a.tensor("x") / a.tensor("y"),
    "square": lambda a: a.tensor("x").square(),
    "sqrt": lambda a: a.tensor("x").sqrt(),
    "relu": lambda a: a.tensor("x").clamp(min=0),
    "sigmoid": lambda a: a.tensor("x").sigmoid(),
    "cast": cast,
    "gelu": gelu,
    "sigmoid_hard": sigmoid_hard,
    "thresholded_relu": thresholded_relu,
    "linear": linear,
    "matmul": matmul,
    "scaled_dot_product_attention": scaled_dot_product_attention,
}
