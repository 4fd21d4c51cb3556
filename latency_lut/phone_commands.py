"""The commands for phones: measuring from a Mac, packing a job for one, and bringing in what came back."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from supernet import SpecError, load_spec
from supernet.values import printable

from .command import TOOL, protocol_of
from .devices.base import Facts
from .exporting import file_of, manifest
from .items import Item, network
from .mlperf import read_mlperf
from .phone.archive import pack, unpack_job, unpack_results
from .phone.job import PHONE_PROTOCOL, RESULTS, Package, write_job
from .phone.results import ItemResults, PhoneResults, read_results
from .plan import Plan, load_plan
from .protocol import Burst, Protocol, summary
from .table.store import SUSTAINED, Store

SUSTAINED_ATTEMPT = 0


def measure_on_phone_command(args: argparse.Namespace) -> None:
    from .devices.iphone import measure_on_iphone

    if not args.team:
        raise SpecError("--team", "is missing: the identifier of your team, Xcode > Settings > Accounts")
    carried = args.plan.is_file()
    if not carried and args.table is None:
        raise SpecError("--table", "is missing: the file for what is measured")
    job = unpack_job(args.plan, args.plan.with_name(f"{args.plan.stem}_job")) if carried else _write_job(args)
    results = measure_on_iphone(job, team=args.team, phone=args.phone, bundle=args.bundle)
    if carried:
        print(f"carry {printable(str(job / RESULTS))} back: python -m latency_lut import TABLE FILE --plan PLAN")
    else:
        _store(args.table, load_plan(args.plan), results, job)


def pack_command(args: argparse.Namespace) -> None:
    job = _write_job(args)
    pack(job, args.archive)
    print(f"{printable(str(args.archive))} holds the job; `python -m latency_lut measure` takes it on a Mac")
    print(f"what comes back: python -m latency_lut import TABLE results.jsonl --plan {args.plan}")


def _write_job(args: argparse.Namespace) -> Path:
    """In the plan's folder, one for each kind of compute units."""
    plan = load_plan(args.plan)
    folder: Path = args.plan / f"job_{args.compute_units}"
    rows = manifest(args.plan, "coreml")
    missing = [item for item in plan.items if "sha256" not in rows.get(item.id, {})]
    if missing:
        raise SpecError(
            str(args.plan),
            f"{len(missing):,} of {len(plan.items):,} items are not exported: "
            f"`python -m latency_lut export {args.plan} --to coreml` does it",
        )
    packages = [
        Package(item.id, file_of(args.plan, "coreml", item), rows[item.id]["sha256"], sustained=not item.copies)
        for item in plan.items
    ]
    protocol = protocol_of(args.protocol, PHONE_PROTOCOL)
    write_job(folder, packages, compute_units=args.compute_units, anchor=plan.anchor.id, protocol=protocol)
    return folder


def import_results(table: Path, plan_folder: Path, files: Iterable[Path]) -> None:
    """Of jobs that were carried away: each is added to the job it belongs to, then to the table."""
    plan = load_plan(plan_folder)
    for file in files:
        job = _job_of(plan_folder, file)
        _store(table, plan, read_results(job), job)


def _job_of(plan_folder: Path, file: Path) -> Path:
    reasons = []
    for job in sorted(plan_folder.glob("job_*")):
        try:
            unpack_results(file, job)
        except SpecError as error:
            reasons.append(str(error))
        else:
            return job
    why = "; ".join(reasons) or "no job was made of this plan"
    raise SpecError(printable(str(file)), f"belongs to no job of {printable(str(plan_folder))}: {why}")


def _store(table: Path, plan: Plan, results: PhoneResults, job: Path) -> None:
    from .phone.job import read_job

    found = read_job(job)
    with Store(table, create=True) as store:
        number = store_results(store, plan, results, found.protocol, found.compute_units)
    print(f"{number:,} bursts of {results.device.model} with {results.device.os} are in {printable(str(table))}")
    if results.stopped:
        print(f"the phone stopped: {results.stopped}; the same command goes on")


def store_results(store: Store, plan: Plan, results: PhoneResults, protocol: Protocol, compute_units: str) -> int:
    """How many bursts came; those that are there already stay as they are."""
    device: Facts = {
        "device": "coreml",
        "model": results.device.model,
        "system": results.device.os,
        "compute_units": compute_units,
        "dtype": "fp16",
    }
    by_id = {item.id: item for item in plan.items}
    with store.writing():
        collection = store.collection(device, protocol, TOOL)
        numbers = store.add_items(plan.items)
        for event in results.rounds.values():
            place = (collection, event.round, event.attempt)
            store.begin_stretch(*place, event.anchor_ms[0] if event.anchor_ms else 0.0)
            last = event.anchor_ms[-1] if event.anchor_ms else 0.0
            store.end_stretch(*place, last, "drifted" if event.drifted else "accepted")
        number = 0
        for id_, item_results in results.items.items():
            item = by_id.get(id_)
            if item is None:
                continue
            if item_results.failed is not None:
                store.add_failure(collection, numbers[item], item_results.failed)
            for round_, attempt, burst, more in _bursts(item, plan.anchor, item_results):
                store.add_burst(collection, numbers[item], round_, attempt, burst, more)
                number += 1
    return number


def _bursts(item: Item, anchor: Item, results: ItemResults) -> Iterable[tuple[int, int, Burst, dict[str, object]]]:
    """One a round: of the anchor's several, the first."""
    more: dict[str, object] = {}
    if results.placement is not None:
        more["operations"] = results.placement.operations
    seen = set()
    for event in results.bursts:
        if item == anchor and event.round in seen:
            continue
        seen.add(event.round)
        about = {"load_ms": event.load_ms, "compile_ms": event.compile_ms}
        yield event.round, event.attempt, summary(list(event.samples_ms)), more | about
    if results.sustained is not None:
        yield SUSTAINED, SUSTAINED_ATTEMPT, summary(list(results.sustained.samples_ms)), more


def import_mlperf(table: Path, file: Path, spec_name: str) -> None:
    """A whole network that somebody measured in Xcode, by a protocol of its own: it is never mixed with others."""
    report = read_mlperf(file)
    item = network(load_spec(spec_name))
    device: Facts = {
        "device": "xcode report",
        "model": report.device_model,
        "system": report.os,
        "compute_units": report.compute_units,
        "dtype": "fp16",
    }
    protocol = Protocol(rounds=1, warm_up=0, burst_runs=max(1, len(report.predict_ms)), burst_ms=0)
    burst = summary(list(report.predict_ms))
    with Store(table, create=True) as store, store.writing():
        collection = store.collection(device, protocol, TOOL)
        store.begin_stretch(collection, 0, 0, burst.median_ms)
        store.end_stretch(collection, 0, 0, burst.median_ms, "accepted")
        store.add_burst(collection, store.add_items([item])[item], 0, 0, burst, {"file": report.model})
    print(f"{printable(spec_name)}: {burst.median_ms:.3f} ms on {report.device_model} with {report.os}")
