"""`python -m deploy export`: a network as a file for a device."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any

from torch import nn

from supernet import format_spec, fuse
from supernet.command_line import positive
from supernet.values import printable

from .compressing import COMPRESSIONS
from .errors import ExportError
from .forms import Backbone, FromPixels, Probabilities, output_names
from .images import examples_of
from .judging import judge
from .opening import open_file
from .origin import Origin, add_origin_options, read_origin
from .packages import Credits
from .to_coreml import PRECISIONS, TARGET, TARGETS, Offer, export_coreml
from .to_onnx import export_onnx
from .to_torch import export_torch
from .to_torchscript import export_torchscript
from .tracing import ExportReport, Shape

WRITERS: dict[str, Callable[..., ExportReport]] = {
    "coreml": export_coreml,
    "onnx": export_onnx,
    "torchscript": export_torchscript,
    "torch": export_torch,
}
COREML_ONLY = ("target", "precision", "image", "compress", "author", "licence", "description")
IMAGES = 256


def add_export(commands: Any) -> None:
    help_ = "a network, fused, as a Core ML package, an ONNX file, or one of PyTorch's"
    command = commands.add_parser("export", help=help_, description=help_)
    command.set_defaults(run=export_command)
    command.add_argument("--to", required=True, choices=tuple(WRITERS), help="the kind of file")
    command.add_argument("--out", required=True, metavar="FILE", help="ending in .mlpackage, .onnx, .pt or .pt2")
    add_origin_options(command)
    command.add_argument(
        "--backbone", action="store_true", help="the feature maps of all stages (stage1, stage2, ...) and no head"
    )
    command.add_argument("--dynamic-batch", action="store_true", help="any number of images; not for coreml")
    only = command.add_argument_group("for coreml")
    only.add_argument("--target", metavar="SYSTEM", help=f"oldest system: {', '.join(TARGETS)} (default {TARGET})")
    only.add_argument(
        "--precision", choices=PRECISIONS, help="of weights and operations, and of tensors in and out (fp16)"
    )
    only.add_argument(
        "--image",
        action="store_true",
        help="the input is an RGB image, normalised inside; with names of classes, the output is a class and its "
        "probabilities",
    )
    only.add_argument("--compress", choices=COMPRESSIONS, help="weights of fewer bits")
    only.add_argument(
        "--images",
        type=positive,
        default=IMAGES,
        metavar="N",
        help=f"with --compress: validation images of RUN that show what it costs (default {IMAGES})",
    )
    for name, what in (("author", "who made it"), ("licence", "who may use it"), ("description", "what it does")):
        only.add_argument(f"--{name}", metavar="TEXT", help=f"for those who open the package in Xcode: {what}")


def export_command(args: argparse.Namespace) -> int:
    _check_options(args)
    origin = read_origin(args)
    report = _exported(args, origin)
    shapes = ", ".join(map(_in_words, report.shapes_out))
    size = f"{report.size_bytes / 1e6:.3g} MB"
    if report.uncompressed_bytes is not None:
        size += f" instead of {report.uncompressed_bytes / 1e6:.3g} MB"
    what = f"{report.num_ops} operations, {_in_words(report.shape_in)} to {shapes}"
    print(f"{printable(str(report.path))}: {size}, {what}\nsha256 {report.sha256}")
    if args.compress is not None and origin.config is not None and not args.backbone:
        cost = judge(open_file(report.path), origin, examples_of(origin, args.images), tolerance=math.inf)
        print(f"{cost.accuracies()}, on {cost.images:,} validation images")
    return 0


def _check_options(args: argparse.Namespace) -> None:
    given = [f"--{name}" for name in COREML_ONLY if getattr(args, name) not in (None, False)]
    if args.to != "coreml" and given:
        raise ExportError(f"{given[0]} is for --to coreml only")
    if args.to == "coreml" and args.dynamic_batch:
        raise ExportError("--dynamic-batch is not for --to coreml: a package takes one image, and is faster for it")
    if args.backbone and args.labels is not None:
        raise ExportError("--labels is not for --backbone: feature maps have no classes")


def _exported(args: argparse.Namespace, origin: Origin) -> ExportReport:
    net = fuse(origin.net)
    outputs = output_names(net, backbone=args.backbone)
    module: nn.Module = Backbone(net) if args.backbone else net
    given: dict[str, Any] = {"spec_text": format_spec(origin.spec), "notes": notes_of(origin)}
    if args.to != "coreml":
        given |= {"outputs": outputs, "dynamic_batch": args.dynamic_batch}
        return WRITERS[args.to](module, origin.shape, args.out, **given)
    named = origin.classes if not args.backbone and (args.image or args.labels is not None) else ()
    module = Probabilities(module) if named else module
    module = FromPixels(module, origin.augment.mean, origin.augment.std) if args.image else module
    credits_ = Credits(args.author or "", args.licence or "", args.description or "")
    offer = Offer(args.image, named, outputs, args.compress, credits_)
    target, precision = args.target or TARGET, args.precision or "fp16"
    return export_coreml(module, origin.shape, args.out, target=target, precision=precision, offer=offer, **given)


def notes_of(origin: Origin) -> dict[str, str]:
    """What an app needs to know of the images and of the scores."""
    mean, std = (" ".join(f"{one:g}" for one in values) for values in (origin.augment.mean, origin.augment.std))
    names = {"slimformer.classes": "\n".join(origin.classes)} if origin.classes else {}
    return {"slimformer.mean": mean, "slimformer.std": std} | names


def _in_words(shape: Shape) -> str:
    return "x".join(map(str, shape))
