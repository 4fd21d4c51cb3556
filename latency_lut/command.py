"""What `python -m latency_lut` does, command by command."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from supernet import Space, SpecError, load_space
from supernet.values import counted, show

from .devices.base import Device
from .exporting import export, file_of, manifest, target_of_packages
from .items import Item
from .measuring import measure
from .plan import COPIES, Plan, add_to_plan, estimated_hours, load_plan, make_plan, naive_number
from .protocol import Protocol
from .table.latencies import contended_share
from .table.store import Store
from .table.stretches import slow_share

TOOL = "latency_lut 1"
NOISY = 0.5
"""Share of slow or disturbed measurements, beyond which even an item's fastest burst may be a slow one."""
TABLE = "table.sqlite"
"""In the folder of the plan, where none is named."""


def plan_command(args: argparse.Namespace) -> None:
    spaces = [_space(name, args.resolution) for name in args.spaces]
    ours = make_plan(spaces, args.networks, args.unseen, args.seed, copies=() if args.no_units else COPIES)
    folder: Path = args.out
    plan = add_to_plan(ours, folder)
    units = len({item.text for item in plan.chains})
    naive = naive_number(spaces)
    networks = len(plan.networks)
    chains = f"{units:,} units of {', '.join(plan.spaces)}, in {len(plan.chains):,} chains; " if units else ""
    print(f"{chains}{counted(networks, 'network')}")
    share, named = len(ours.chains) / naive, ", ".join(ours.spaces)
    if ours.chains:
        print(f"{share:.1%} of the {naive:,} chains of a plan for {named} that measures every slot by itself")
    for name, speed, load_s in (("this computer, one thread", 1e10, 0.05), ("an iPhone", 5e11, 1.5)):
        hours = estimated_hours(plan, Protocol(), speed, load_s)
        print(f"about {_duration(hours)} on {name}")
    print(f"next: python -m latency_lut export {folder} --to onnx")


def export_command(args: argparse.Namespace) -> None:
    plan = load_plan(args.plan)
    options = {"target": _target(args)} if args.to == "coreml" else {}
    if args.target is not None and args.to != "coreml":
        raise SpecError("--target", "is for --to coreml only")
    failed = export(plan.items, args.plan, args.to, args.jobs, options, _progress("export"))
    _finish_progress()
    rows = manifest(args.plan, args.to)
    made = sum("sha256" in rows.get(item.id, {}) for item in plan.items)
    print(f"{made:,} of {len(plan.items):,} items are in {args.plan / args.to}")
    for id_, reason in failed.items():
        print(f"failed: {rows[id_].get('what', id_)}: {reason}", file=sys.stderr)
    if failed:
        raise SpecError("export", f"{len(failed)} items failed; the same command tries them again")


def _target(args: argparse.Namespace) -> str:
    """A command that goes on keeps the target."""
    from deploy import TARGET, TARGETS

    target: str = args.target or target_of_packages(args.plan) or TARGET
    if target not in TARGETS:
        raise SpecError("--target", f"{show(target)} is not one of {', '.join(TARGETS)}")
    return target


def measure_command(args: argparse.Namespace) -> None:
    if args.table is None and not args.plan.is_file():
        args.table = args.plan / TABLE
    if args.device == "iphone":
        from .phone_commands import measure_on_phone_command

        measure_on_phone_command(args)
        return
    plan = load_plan(args.plan)
    device = make_device(args)
    protocol = protocol_of(args.protocol, Protocol())
    find = _finder(args.plan, device, plan)
    with Store(args.table, create=True) as store:
        collection = measure(plan.items, plan.anchor, device, store, protocol, find, TOOL, _progress("measure"))
        _finish_progress()
        known = store.failures(collection)  # also of other plans
        failures = {item: known[item] for item in plan.items if item in known}
        slow, contended = slow_share(store.stretches(collection)), contended_share(store, collection)
    print(f"{len(plan.items) - len(failures):,} items in {protocol.rounds} rounds on {collection}; in {args.table}")
    if slow:
        print(f"{slow:.1%} of that only on a device slower than at its fastest by more than {protocol.drift:.0%}")
    if contended:
        print(f"{contended:.1%} of that beside other work on the processor (more than {protocol.contention:.0%})")
    if slow + contended > NOISY:
        print("measure again when the device has nothing else to do: another --table begins anew")
    for item, reason in failures.items():
        print(f"failed: {item}: {reason}", file=sys.stderr)
    if failures:
        raise SpecError("measure", f"{len(failures)} items failed; the same command tries them again")


def make_device(args: argparse.Namespace) -> Device:
    if args.device == "onnxruntime":
        from .devices.onnx_host import OnnxHost

        return OnnxHost(args.threads, args.optimization)
    if args.device == "torch":
        from .devices.torch_host import TorchHost

        return TorchHost(args.threads, args.mode, "cpu")
    if args.device == "cuda":
        from .devices.torch_host import TorchHost

        return TorchHost(args.threads, args.mode, "cuda")
    if args.device == "coreml":
        from .devices.coreml_mac import CoreMLMac

        return CoreMLMac(args.compute_units)
    raise SpecError("--device", f"{args.device!r} is not one of onnxruntime, torch, cuda, coreml, iphone")


def _finder(folder: Path, device: Device, plan: Plan) -> Callable[[Item], Path | None]:
    """Where an item's file lies; all must be there before anything is measured."""
    form = device.form
    if form is None:
        return lambda item: None
    missing = [item for item in plan.items if not file_of(folder, form, item).exists()]
    if missing:
        raise SpecError(
            str(folder),
            f"{len(missing):,} of {len(plan.items):,} items are not exported: "
            f"`python -m latency_lut export {folder} --to {form}` does it",
        )
    return lambda item: file_of(folder, form, item)


def _space(name: str, resolution: int | None) -> Space:
    space = load_space(name)
    return space if resolution is None else space.with_(resolutions=(resolution,))


def protocol_of(settings: Sequence[str], usual: Protocol) -> Protocol:
    fields = msgspec.to_builtins(usual)
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or name not in Protocol.__struct_fields__:
            known = ", ".join(Protocol.__struct_fields__)
            raise SpecError("--protocol", f"{setting!r} is not NAME=VALUE with one of {known}")
        try:
            fields[name] = float(value) if "." in value or "e" in value else int(value)
        except ValueError:
            raise SpecError(f"--protocol {name}", f"{value!r} is no number") from None
    return Protocol(**fields)


def _duration(hours: float) -> str:
    minutes = max(1, round(60 * hours))
    return f"{hours:.1f} hours" if hours >= 2 else counted(minutes, "minute")


def _progress(what: str) -> Callable[[int, int, str], None]:
    """One line that is written over, on a terminal; else a line now and then."""
    began, last = time.monotonic(), [0.0]
    is_terminal = sys.stderr.isatty()

    def show(done: int, total: int, item: str) -> None:
        now = time.monotonic()
        if now - last[0] < (0.1 if is_terminal else 30) and done != total:
            return
        last[0] = now
        left = f"  {(now - began) / done * (total - done) / 60:.1f} min left" if done else ""
        text = f"{what} {done:,}/{total:,}{left}  {item}"[:118]
        print(f"\r{text:<118}" if is_terminal else text, end="" if is_terminal else "\n", file=sys.stderr, flush=True)

    return show


def _finish_progress() -> None:
    if sys.stderr.isatty():
        print(file=sys.stderr)
