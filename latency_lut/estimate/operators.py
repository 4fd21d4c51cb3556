"""What a network does on a device, operator by operator: it runs once without data, and each operator is noted.

On PyTorch's meta device nothing is computed, so that any module can be read in a fraction of a second. What a converter
folds away is not noted: batch norms and constant factors behind a convolution, operators on constants alone, and views
that leave the last two dimensions as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from supernet.values import SpecError

from .kinds import BATCHED, CONVOLUTIONS, KIND_OF, NOT_WORK

NUMBER_BYTES = 2
"""On the Neural Engine: half precision."""
ROW_NUMBERS = 32
"""The Neural Engine's buffers begin each row of the last axis at a multiple of 64 bytes."""
LANE_CHANNELS = 32

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Operator:
    """One operator for one image. `window` is the side of its kernels, 1 where there are none. `inputs`, `outputs` and
    `weights` are bytes; `padding` is the bytes that whole rows would add to inputs and outputs, `idle` the MACs that
    whole lanes of channels would add."""

    kind: str
    macs: int
    inputs: int
    outputs: int
    weights: int
    window: int = 1
    padding: int = 0
    idle: int = 0


def operators(net: nn.Module, image: Sequence[int], *, part: str = "forward") -> list[Operator]:
    """In order, those of `net` in evaluation mode for an image of this shape (channels, height, width).

    The module lies on the meta device; `deployed` brings it there. `part` is the method that is run.
    """
    training = net.training
    net.eval()
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            example = torch.empty(1, *image, device="meta")
            with _Notes(example) as notes:
                getattr(net, part)(example)
    finally:
        net.train(training)
    return notes.operators


class _Notes(TorchDispatchMode):
    """`_makers` holds what depends on the image, with the kind of the operator that made it; the rest is constant."""

    def __init__(self, example: Tensor) -> None:
        super().__init__()
        self.operators: list[Operator] = []
        self._makers = WeakTensorKeyDictionary()
        self._makers[example] = "image"

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        used = [(tuple(one.shape), self._makers.get(one)) for one in _tensors((args, kwargs))]
        result = func(*args, **(kwargs or {}))  # before the note: an operator in place changes what made its input
        live = [shape for shape, maker in used if maker is not None]
        if live:
            name = func._schema.name.partition("::")[2].removesuffix("_")
            constants = [shape for shape, maker in used if maker is None]
            before = next(maker for _, maker in used if maker is not None)
            made = [tuple(one.shape) for one in _tensors(result)]
            maker = self._note(name, args, live, constants, made, before)
            for one in _tensors(result):
                self._makers[one] = maker
        return result

    def _note(
        self, name: str, args: Sequence[Any], live: list[Shape], constants: list[Shape], made: list[Shape], before: str
    ) -> str:
        """The kind of what was made, which is that of its input where nothing was done."""
        if name == "convolution":
            self.operators.append(_convolution(args, made[0]))
            return self.operators[-1].kind
        if name in NOT_WORK or not made:
            return before
        if name not in KIND_OF:
            raise SpecError("", f"the network uses PyTorch's {name!r}, of which no estimate knows what it costs")
        kind = KIND_OF[name]
        if _is_free(name, live, constants, made[0], before):
            return before
        self.operators.append(_other(kind, live, constants, made))
        return kind


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def _is_free(name: str, live: list[Shape], constants: list[Shape], made: Shape, before: str) -> bool:
    kind = KIND_OF[name]
    if kind == "batch_norm":
        return before in CONVOLUTIONS or before == "linear"
    if kind == "reshape":  # a matrix product takes any number of leading dimensions
        return live[0][-2:] == made[-2:]
    if kind == "split":
        return live[0] == made
    if kind == "elementwise" and len(live) == 1:
        if sum(map(math.prod, constants)) <= 1:  # a factor or shift of all numbers
            return True
        if before == "linear":  # its bias, where PyTorch adds it apart
            return name == "add" and all(len(shape) == 1 for shape in constants)
        return before in CONVOLUTIONS and all(math.prod(shape) <= made[1] for shape in constants)
    return False


def _convolution(args: Sequence[Any], made: Shape) -> Operator:
    inputs, weight, transposed, groups = args[0], args[1], args[6], args[8]
    window = max(weight.shape[2:])
    if transposed:
        kind = "transposed"
    elif groups > 1:
        kind = "depthwise" if groups == inputs.shape[1] else "grouped"
    else:
        kind = "dense" if window > 1 else "pointwise"
    positions = math.prod(inputs.shape[2:] if transposed else made[2:])
    macs = made[0] * weight.numel() * positions
    is_full = kind in ("dense", "pointwise")
    return Operator(
        kind,
        macs,
        inputs=inputs.numel() * NUMBER_BYTES,
        outputs=math.prod(made) * NUMBER_BYTES,
        weights=weight.numel() * NUMBER_BYTES,
        window=window,
        padding=_padding([tuple(inputs.shape), made]),
        idle=_idle(macs, inputs.shape[1], made[1]) if is_full else 0,
    )


def _other(kind: str, live: list[Shape], constants: list[Shape], made: list[Shape]) -> Operator:
    macs, weights = 0, sum(map(math.prod, constants))
    if kind in ("linear", "matmul"):
        macs = math.prod(made[0]) * live[0][-1]
        if len(live) > 1:
            kind, weights = "matmul", 0
    idle = _idle(macs, live[0][-1], made[0][-1]) if kind == "linear" else 0
    if kind in BATCHED and math.prod(live[0][:-2]) > 1:
        kind = BATCHED[kind]
    return Operator(
        kind,
        macs,
        inputs=sum(map(math.prod, live)) * NUMBER_BYTES,
        outputs=sum(map(math.prod, made)) * NUMBER_BYTES,
        weights=weights * NUMBER_BYTES,
        padding=_padding([*live, *made]),
        idle=idle,
    )


def _padding(shapes: Sequence[Shape]) -> int:
    return sum(math.prod(shape[:-1]) * (-shape[-1] % ROW_NUMBERS) for shape in shapes if shape) * NUMBER_BYTES


def _idle(macs: int, width_in: int, width: int) -> int:
    whole = math.prod(-(-channels // LANE_CHANNELS) * LANE_CHANNELS for channels in (width_in, width))
    return macs * (whole - width_in * width) // (width_in * width)
