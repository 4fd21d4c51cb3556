"""The command line: python -m latency_lut plan | export | measure | show | validate | latency | ..."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from supernet.command_line import count, positive, run_safely

from .bench_command import bench_command
from .command import export_command, measure_command, plan_command
from .exchange_commands import diff_command, dump_command, import_command
from .phone_commands import pack_command
from .reporting import latency_command, show_command, validate_command
from .transfer import transfer_command

EXAMPLES = """A table of this computer, from a space to a prediction:

    python -m latency_lut plan iformer --resolution 224 --out plans/iformer
    python -m latency_lut export plans/iformer --to onnx --jobs 2
    python -m latency_lut measure plans/iformer --device onnxruntime --table tables/host.sqlite
    python -m latency_lut validate tables/host.sqlite
    python -m latency_lut latency tables/host.sqlite iformer_t

Each command can be interrupted; the same command goes on where it was. For iPhones that nobody has at hand:

    python -m latency_lut.estimate iformer_t --device iphone13
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m latency_lut",
        description="Latency tables: measured pieces of networks, and what whole networks take.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace], None], help_: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help_, description=help_)
        command.set_defaults(run=run)
        return command

    command = add("plan", plan_command, "what must be measured for some spaces")
    command.add_argument("spaces", metavar="SPACE", nargs="+", help="names of spaces, or YAML files")
    command.add_argument("--out", metavar="PLAN", type=Path, required=True, help="folder; a plan there is added to")
    command.add_argument("--resolution", type=int, help="only this one (default: all of the space)")
    command.add_argument("--networks", type=count, default=30, help="whole networks of each space (default 30)")
    command.add_argument("--unseen", type=count, default=0, help="random networks to judge a fit by (default 0)")
    command.add_argument("--seed", type=int, default=0, help="of the choice of networks (default 0)")
    command.add_argument("--no-units", action="store_true", help="networks only: for a device that is like a known one")
    command = add("export", export_command, "the items of a plan as files for a device")
    command.add_argument("plan", metavar="PLAN", type=Path)
    command.add_argument("--to", choices=("onnx", "coreml", "torchscript"), default="onnx", help="default onnx")
    command.add_argument("--jobs", type=positive, default=1, help="processes (default 1; Core ML takes 1 GB in each)")
    command.add_argument("--target", help="the oldest system for Core ML (default iOS17, or that of what is there)")
    command = add("measure", measure_command, "measure the items of a plan")
    command.add_argument("plan", metavar="PLAN", type=Path)
    _add_device(command, ("onnxruntime", "torch", "cuda", "coreml", "iphone"))
    command.add_argument(
        "--table", metavar="FILE", type=Path, help="SQLite file, added to where it is (default: table.sqlite in PLAN)"
    )
    _add_phone(command)
    phone = command.add_argument_group("an iPhone, from a Mac with Xcode")
    phone.add_argument("--team", help="identifier of your Apple team, such as ABCDE12345")
    phone.add_argument("--phone", help="name, model, identifier or UDID, where several are connected")
    phone.add_argument("--bundle", help="identifier for the app, where the usual one is taken")
    command = add("pack", pack_command, "one file of a plan, to be measured elsewhere")
    command.add_argument("plan", metavar="PLAN", type=Path)
    command.add_argument("archive", metavar="FILE", type=Path, help="such as job.tar")
    command.add_argument("--protocol", metavar="NAME=VALUE", action="append", default=[], help="such as rounds=3")
    _add_phone(command)
    command = add("bench", bench_command, "whole networks side by side, ours and timm's")
    command.add_argument("models", metavar="MODEL", nargs="+", help="a spec's name or file, or timm:NAME")
    _add_device(command, ("onnxruntime", "torch", "cuda", "coreml"))
    _add_phone(command)
    command.add_argument("--batch", type=positive, default=1, help="images at once (default 1)")
    command.add_argument("--jobs", type=positive, default=1, help="processes that run at the same time (default 1)")
    command.add_argument("--resolution", type=int, help="instead of each network's own")
    command.add_argument("--json", action="store_true", help="one JSON object a line")
    command.add_argument("--csv", metavar="FILE", type=Path, help="also write the rows there")
    command.add_argument("--plot", metavar="FILE", type=Path, help="also draw latency over parameters")
    _add_reading(add)
    return parser


def _add_reading(add: Callable[..., argparse.ArgumentParser]) -> None:
    """The commands that measure nothing new."""
    command = add("show", show_command, "what a table holds")
    _add_table(command)
    command.add_argument("--plot", metavar="FILE", type=Path, help="also draw block latencies by kind, width and size")
    command = add("validate", validate_command, "measured networks against their predictions")
    _add_table(command)
    command.add_argument(
        "--held-out", metavar="N", type=count, default=0, help="the last N networks measured are not fitted"
    )
    _add_known(command)
    command.add_argument("--plot", metavar="FILE", type=Path, help="also draw it")
    command.add_argument("--json", action="store_true", help="one JSON object")
    command = add("dump", dump_command, "a table as CSV or JSON lines, one row a burst")
    command.add_argument("table", metavar="TABLE", type=Path)
    command.add_argument("file", metavar="FILE", type=Path, help=".csv or .jsonl")
    command = add("import", import_command, "rows of dumped files, or of other tables, into a table")
    command.add_argument("table", metavar="TABLE", type=Path, help="made where there is none")
    command.add_argument("files", metavar="FILE", type=Path, nargs="+", help="dumped rows, tables, .mlperf reports")
    command.add_argument(
        "--plan", metavar="PLAN", type=Path, help="FILE is what a phone measured of a job of this plan"
    )
    command.add_argument("--spec", help="the network that a .mlperf report is about")
    command = add("diff", diff_command, "two devices, or two dates, unit by unit")
    command.add_argument("table", metavar="TABLE", type=Path)
    command.add_argument("first", metavar="DEVICE", help="number or words; see `show`")
    command.add_argument("second", metavar="DEVICE", help="the same, in --table2 where that is given")
    command.add_argument("--table2", metavar="TABLE", type=Path, help="of the second device (default: the same)")
    command = add("transfer", transfer_command, "a new device's networks by the units of a known one, and the error")
    command.add_argument("known", metavar="KNOWN", type=Path, help="table of the device whose units were measured")
    _add_table(command)
    command.add_argument("--known-device", help="number or words, where KNOWN has several")
    command.add_argument("--json", action="store_true", help="one JSON object a line")
    command = add("latency", latency_command, "what networks take, by a table")
    _add_table(command)
    command.add_argument("specs", metavar="SPEC", nargs="+", help="published names or YAML files")
    _add_known(command)
    command.add_argument("--resolution", type=int, help="instead of the spec's own")
    command.add_argument("--json", action="store_true", help="one JSON object a line")


def _add_device(command: argparse.ArgumentParser, names: tuple[str, ...]) -> None:
    command.add_argument("--device", choices=names, default="onnxruntime", help="default onnxruntime")
    command.add_argument("--threads", type=positive, default=1, help="default 1")
    command.add_argument("--optimization", default="all", help="of ONNX Runtime's graph: off, basic, extended, all")
    command.add_argument("--mode", default="eager", help="of PyTorch: eager, script, compile")
    command.add_argument("--protocol", metavar="NAME=VALUE", action="append", default=[], help="such as rounds=3")


def _add_phone(command: argparse.ArgumentParser) -> None:
    units = ("all", "cpu_and_ne", "cpu_and_gpu", "cpu_only")
    command.add_argument("--compute-units", choices=units, default="all", help="of Core ML (default all)")


def _add_known(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--units-from", metavar="TABLE", type=Path, help="of a known device: its units stand for those of this one"
    )
    command.add_argument("--known-device", help="number or words, where that table has several")


def _add_table(command: argparse.ArgumentParser) -> None:
    command.add_argument("table", metavar="TABLE", type=Path)
    command.add_argument("--device", help="number or words of one of the table's devices, where it has several")


def main(arguments: list[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    goes_on = args.run in (plan_command, export_command, measure_command)
    return run_safely(lambda: args.run(args), stopped="stopped; the same command goes on" if goes_on else "stopped")


if __name__ == "__main__":
    sys.exit(main())
