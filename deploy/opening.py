"""A file, of whatever kind, as a function from a batch of images to what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from supernet.values import did_you_mean, first_line, printable

from .coreml_program import read_program, run_program
from .errors import DeployError, PackageError
from .torch_files import plain_program, plain_torchscript
from .tracing import silence


@dataclass(frozen=True)
class Opened:
    """`run` gives one tensor for each output: scores, or the maps of all stages if `is_backbone`. If `is_classifier`,
    the first one is the place of the class, and the second are probabilities in the order of `classes`.
    """

    path: Path
    run: Callable[[Tensor], list[Tensor]]
    takes_pixels: bool = False
    """Whether it takes an image of 8 bits, not a normalised tensor."""
    is_backbone: bool = False
    classes: tuple[str, ...] = ()
    has_half: bool = False
    is_compressed: bool = False

    @property
    def is_classifier(self) -> bool:
        return bool(self.classes)


def open_file(path: str | Path) -> Opened:
    """By its ending. Raises DeployError."""
    suffix = Path(path).suffix
    if suffix not in OPENERS:
        raise DeployError(f"{printable(str(path))}: the ending {suffix!r} is unknown, {did_you_mean(suffix, OPENERS)}")
    return OPENERS[suffix](path)


def open_coreml(path: str | Path, *, rounded: bool = False) -> Opened:
    """Runs the saved program over PyTorch: no proof of what a device computes, but of what it is asked to compute.

    With `rounded`, results are rounded to fp16 where the program says so, which shows numbers beyond its range.
    """
    program = read_program(path)

    def run(images: Tensor) -> list[Tensor]:
        return list(run_program(program, dict.fromkeys(program.inputs, images), rounded=rounded).values())

    return Opened(
        Path(path),
        run,
        takes_pixels=bool(program.images),
        is_backbone=not program.classes and _are_stages(program.outputs),
        classes=program.classes,
        has_half=program.has_half,
        is_compressed=program.compressed,
    )


def open_onnx(path: str | Path) -> Opened:
    """Runs the file with ONNX Runtime, on one thread."""
    try:
        import onnxruntime
    except ImportError as error:
        raise PackageError(f"to verify an ONNX file, onnxruntime is needed: {first_line(error)}") from None
    there = _existing(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    try:
        session = onnxruntime.InferenceSession(there, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no base class
        raise PackageError(f"{printable(str(path))} is no model for ONNX Runtime: {first_line(error)}") from None

    def run(images: Tensor) -> list[Tensor]:
        takes, shape = session.get_inputs()[0].shape, list(images.shape)
        if any(isinstance(one, int) and one != two for one, two in zip(takes, shape, strict=False)):
            raise PackageError(
                f"{printable(str(path))} can't be run on {shape}: it takes {takes}; is it of another network?"
            )
        try:
            given = session.run(None, {session.get_inputs()[0].name: images.numpy()})
        except Exception as error:
            raise PackageError(f"{printable(str(path))}: ONNX Runtime can't run it: {first_line(error)}") from None
        return [torch.from_numpy(one) for one in given]

    return Opened(Path(path), run, is_backbone=_are_stages(tuple(one.name for one in session.get_outputs())))


def open_torchscript(path: str | Path) -> Opened:
    content = plain_torchscript(_existing(path))
    with silence():
        try:
            loaded: Any = torch.jit.load(content, map_location="cpu")
            gives = next(loaded.graph.outputs()).type().kind()
        except Exception as error:  # even the words of its errors can be damaged
            raise PackageError(f"{printable(str(path))} is no TorchScript file: {first_line(error)}") from None
    return Opened(Path(path), _torch_run(path, loaded), is_backbone=gives == "TupleType")


def open_torch(path: str | Path) -> Opened:
    """A program of torch.export."""
    content = plain_program(_existing(path))
    with silence():
        try:
            program = torch.export.load(content)
            module = program.module()
        except Exception as error:  # a damaged file makes its reader fail in many ways
            raise PackageError(f"{printable(str(path))} is no file of torch.export: {first_line(error)}") from None
    return Opened(Path(path), _torch_run(path, module), is_backbone=program.call_spec.out_spec.type is tuple)


def _torch_run(path: str | Path, module: Callable[[Tensor], Any]) -> Callable[[Tensor], list[Tensor]]:
    def run(images: Tensor) -> list[Tensor]:
        try:
            with torch.no_grad():
                given = module(images)
        except Exception as error:  # an assertion is torch.export's word for another shape; damaged graphs have more
            raise PackageError(f"{printable(str(path))} can't be run: {first_line(error)}") from None
        several = [given] if isinstance(given, Tensor) else given
        if not isinstance(several, list | tuple) or not all(isinstance(one, Tensor) for one in several):
            raise PackageError(f"{printable(str(path))} gives {type(given).__name__}, not tensors")
        return list(several)

    return run


OPENERS: dict[str, Callable[[str | Path], Opened]] = {
    ".mlpackage": open_coreml,
    ".onnx": open_onnx,
    ".pt": open_torchscript,
    ".pt2": open_torch,
}


def _are_stages(names: tuple[str, ...]) -> bool:
    return all(name.startswith("stage") for name in names)


def _existing(path: str | Path) -> str:
    if not Path(path).is_file():
        raise PackageError(f"{printable(str(path))}: there is no such file")
    return str(path)
