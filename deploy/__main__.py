"""The command line: python -m deploy export | verify."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from supernet import Network, build, format_spec, fuse, load_spec, load_weights
from supernet.command_line import run_safely
from supernet.values import did_you_mean, printable

from .errors import DeployError, ExportError
from .to_coreml import PRECISIONS, TARGET, TARGETS, export_coreml
from .to_onnx import export_onnx
from .to_torchscript import export_torchscript
from .tracing import ExportReport, Shape
from .verify import VERIFIERS

FORMATS = ("coreml", "onnx", "torchscript")


def _export(args: argparse.Namespace) -> int:
    if args.to != "coreml" and (args.target is not None or args.precision is not None):
        raise ExportError("--target and --precision are for --to coreml only")
    net, shape = _network(args)
    report = _exported(args, fuse(net), shape)
    print(
        f"{printable(str(report.path))}: {report.size_bytes / 1e6:.1f} MB, {report.num_ops} operations, "
        f"{_in_words(report.shape_in)} to {_in_words(report.shape_out)}\nsha256 {report.sha256}"
    )
    return 0


def _exported(args: argparse.Namespace, net: Network, shape: Shape) -> ExportReport:
    spec_text = format_spec(net.spec)
    if args.to == "onnx":
        return export_onnx(net, shape, args.out, spec_text=spec_text)
    if args.to == "torchscript":
        return export_torchscript(net, shape, args.out, spec_text=spec_text)
    target, precision = args.target or TARGET, args.precision or "fp16"
    return export_coreml(net, shape, args.out, target=target, precision=precision, spec_text=spec_text)


def _verify(args: argparse.Namespace) -> int:
    suffix = Path(args.file).suffix
    if suffix not in VERIFIERS:
        name = printable(args.file)
        raise DeployError(f"{name}: the ending {suffix!r} is unknown, {did_you_mean(suffix, VERIFIERS)}")
    net, shape = _network(args)
    difference = VERIFIERS[suffix](args.file, net.eval(), shape)
    print(difference)
    return 0 if difference.ok else 1


def _network(args: argparse.Namespace) -> tuple[Network, Shape]:
    """With weights from a file, or fresh ones that are the same each time."""
    spec = load_spec(args.spec)
    if args.resolution is not None:
        spec = spec.with_(resolution=args.resolution)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = build(spec)
    if args.weights is not None:
        load_weights(net, args.weights)
    return net, (1, spec.in_chans, *spec.size)


def _in_words(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy", description="Networks as files for devices, and the proof that they compute the same."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    help_ = "a network, fused, as a Core ML package, an ONNX or a TorchScript file"
    command = commands.add_parser("export", help=help_, description=help_)
    command.set_defaults(run=_export)
    command.add_argument("spec", metavar="SPEC", help="a published name (see `python -m supernet list`) or a YAML file")
    command.add_argument("--to", required=True, choices=FORMATS, help="the kind of file")
    command.add_argument("--out", required=True, metavar="FILE", help="ending in .mlpackage, .onnx or .pt")
    command.add_argument("--target", metavar="SYSTEM", help=f"oldest system: {', '.join(TARGETS)} (default {TARGET})")
    command.add_argument(
        "--precision", choices=PRECISIONS, help="of weights, operations, input and output (default fp16)"
    )
    _add_network_options(command)
    help_ = "run a file on noise, without the device, and compare it with the network it was made from"
    command = commands.add_parser("verify", help=help_, description=help_ + "; exit code 1 if it differs")
    command.set_defaults(run=_verify)
    command.add_argument("file", metavar="FILE", help="what `export` wrote")
    command.add_argument("--spec", required=True, metavar="SPEC", help="the network: a published name or a YAML file")
    _add_network_options(command)
    return parser


def _add_network_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--weights", metavar="FILE", help="a checkpoint; without it, fresh weights, always the same")
    command.add_argument(
        "--resolution", type=int, metavar="PIXELS", help="the side of the image; that of SPEC if not given"
    )


def main(arguments: list[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    return run_safely(lambda: args.run(args))


if __name__ == "__main__":
    sys.exit(main())
