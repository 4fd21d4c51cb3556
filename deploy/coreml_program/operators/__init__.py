"""The operations that our networks become, by name; each one as the specification of ML programs describes it."""

from . import arithmetic, convolution, reduction, resizing, shaping
from .arguments import Arguments, Operator

OPERATORS: dict[str, Operator] = {
    **arithmetic.OPERATORS,
    **reduction.OPERATORS,
    **convolution.OPERATORS,
    **resizing.OPERATORS,
    **shaping.OPERATORS,
}

__all__ = ["OPERATORS", "Arguments"]
