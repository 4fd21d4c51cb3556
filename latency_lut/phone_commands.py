"""The commands for phones: measuring from a Mac, packing a job for one, and bringing in what came back."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path

from supernet import SpecError, load_spec
from supernet.values import printable

from .command import protocol_of
from .exporting import file_of, manifest
from .items import network
from .mlperf import read_mlperf
from .phone.archive import pack, unpack_job, unpack_results
from .phone.explaining import PhoneError
from .phone.job import PHONE_PROTOCOL, RESULTS, Package, describe_job, read_job, target_of, write_job
from .phone.placement import placement_lines
from .phone.results import PhoneResults, read_results
from .phone.rows import store_results
from .phone.xcode_rows import store_report
from .plan import Plan, load_plan
from .table.store import Store


def measure_on_phone_command(args: argparse.Namespace) -> None:
    """Where it ends before all is measured, what came is stored all the same."""
    from .devices.iphone import measure_on_iphone

    if not args.team:
        raise SpecError("--team", "is missing: the identifier of your team, Xcode > Settings > Accounts")
    carried = args.plan.is_file()
    job = _carried_job(args) if carried else _job_for_table(args)
    try:
        results = measure_on_iphone(job, team=args.team, phone=args.phone, bundle=args.bundle)
    except (PhoneError, KeyboardInterrupt):
        if not carried and (job / RESULTS).exists():
            _store(args.table, load_plan(args.plan), read_results(job), job)
        raise
    if carried:
        print(f"carry {printable(str(job / RESULTS))} back: python -m latency_lut import TABLE FILE --plan PLAN")
    else:
        _store(args.table, load_plan(args.plan), results, job)


def _carried_job(args: argparse.Namespace) -> Path:
    """The folder of a packed one, beside it. It says itself how it is measured, and its table is made elsewhere."""
    where = printable(str(args.plan))
    if args.table is not None:
        raise SpecError("--table", f"can't be filled here: {where} has no plan; `import` does it where the plan is")
    if args.protocol:
        raise SpecError("--protocol", f"can't be changed here: it stands in {where}")
    job = unpack_job(args.plan, args.plan.with_name(f"{args.plan.stem}_job"))
    units = read_job(job).compute_units
    if args.compute_units not in ("all", units):
        raise SpecError("--compute-units", f"can't be changed here: in {where} stands {units!r}")
    return job


def _job_for_table(args: argparse.Namespace) -> Path:
    job = _write_job(args)
    with Store(args.table, create=True):
        return job  # a table that can't be written is said before hours of measuring


def pack_command(args: argparse.Namespace) -> None:
    job = _write_job(args)
    pack(job, args.archive)
    print(f"{printable(str(args.archive))} holds the job; on a Mac with a phone:")
    print(f"  python -m latency_lut measure {printable(args.archive.name)} --device iphone --team TEAM")
    print(f"what comes back: python -m latency_lut import TABLE results.jsonl --plan {printable(str(args.plan))}")


def _write_job(args: argparse.Namespace) -> Path:
    """In the plan's folder, one for each kind of compute units, protocol and state of the plan."""
    plan = load_plan(args.plan)
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
    targets = {target for package in packages if (target := target_of(package.path)) is not None}
    if len(targets) > 1:
        where = printable(str(args.plan / "coreml"))
        raise SpecError(where, f"has packages for {' and for '.join(sorted(targets))}: export all of them for one")
    protocol = protocol_of(args.protocol, PHONE_PROTOCOL)
    job = describe_job(packages, compute_units=args.compute_units, anchor=plan.anchor.id, protocol=protocol)
    folder = _folder_for(args.plan, args.compute_units, job.job)
    write_job(folder, packages, compute_units=args.compute_units, anchor=plan.anchor.id, protocol=protocol)
    return folder


def _folder_for(plan: Path, compute_units: str, job: str) -> Path:
    """That of the same job, or a new one: other jobs may be under way elsewhere."""
    for number in itertools.count(1):
        folder = plan / f"job_{compute_units}{'' if number == 1 else f'_{number}'}"
        if not (folder / "job.json").exists() or read_job(folder).job == job:
            return folder
    raise AssertionError


def import_results(table: Path, plan_folder: Path, files: Iterable[Path]) -> None:
    """Of jobs that were carried away: each is added to the job it belongs to, then to the table."""
    plan = load_plan(plan_folder)
    for file in files:
        job = _job_of(plan_folder, file)
        _store(table, plan, read_results(job), job)


def _job_of(plan_folder: Path, file: Path) -> Path:
    reasons: dict[str, None] = {}
    for job in sorted(folder for folder in plan_folder.glob("job_*") if (folder / "job.json").exists()):
        try:
            unpack_results(file, job)
        except SpecError as error:
            reasons |= {error.message: None}
        else:
            return job
    why = "; ".join(reasons) or "no job was made of this plan: `pack` makes one"
    raise SpecError(printable(str(file)), f"can't be added to a job of {printable(str(plan_folder))}: {why}")


def _store(table: Path, plan: Plan, results: PhoneResults, job_dir: Path) -> None:
    job = read_job(job_dir)
    target = target_of(job_dir / job.items[0].package)
    with Store(table, create=True) as store:
        stored = store_results(store, plan, results, job.protocol, job.compute_units, target)
        lines, failures = placement_lines(store, stored.collection), store.failures(stored.collection)
    where = printable(str(table))
    print(f"{stored.bursts:,} bursts ({stored.new:,} of them new) on {stored.collection}; in {where}")
    print("".join(f"   {line}\n" for line in lines), end="")
    if stored.foreign:
        print(f"{stored.foreign:,} items are left out: the plan no longer has them")
    if not results.is_finished:
        why = f" (the phone stopped: {printable(results.stopped)})" if results.stopped else ""
        done = f"{min(results.measured, job.bursts):,} of about {job.bursts:,} bursts"
        print(f"not all is measured: {done}{why}; rounds under way don't count yet")
    for item, reason in failures.items():
        print(f"failed: {item}: {printable(reason)}", file=sys.stderr)


def import_mlperf(table: Path, file: Path, spec_name: str) -> None:
    """A whole network that somebody measured in Xcode."""
    report, item = read_mlperf(file), network(load_spec(spec_name))
    with Store(table, create=True) as store:
        is_new, burst = store_report(store, report, item)
    had = "" if is_new else ", which the table had already"
    print(f"{printable(spec_name)}: {burst.median_ms:.3f} ms on {report.device_model} with {report.os}{had}")
    print(f"   {burst.runs} predictions of {report.model}, compute units {report.compute_units}")
