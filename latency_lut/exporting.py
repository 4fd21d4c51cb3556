"""Each item of a plan as a file for a device, made by several processes, continued where it was left.

Files appear whole or not at all, and their hashes stand in a manifest. What can't be exported is named there and does
not stop the others.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from supernet import SpecError
from supernet.values import first_line

from .items import Item

FORMS = {"onnx": ".onnx", "coreml": ".mlpackage", "torchscript": ".pt"}
RENEWED = 100
"""Items after which a process is replaced by a new one, so that no leak of a converter grows."""


def folder_of(plan: Path, form: str) -> Path:
    return plan / form


def file_of(plan: Path, form: str, item: Item) -> Path:
    return folder_of(plan, form) / f"{item.id}{FORMS[form]}"


def manifest(plan: Path, form: str) -> dict[str, dict[str, Any]]:
    """By the item's id: `sha256`, or `failed` with a reason. The last line about an item counts, a torn one doesn't."""
    path = folder_of(plan, form) / "manifest.jsonl"
    found: dict[str, dict[str, Any]] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
                found[row["id"]] = row
            except (ValueError, KeyError, TypeError):
                continue
    return found


def export(
    items: Sequence[Item],
    plan: Path,
    form: str,
    jobs: int,
    options: dict[str, Any],
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> dict[str, str]:
    """Reasons of the items that failed, by id. What is there already is left as it is."""
    if form not in FORMS:
        raise SpecError("--to", f"{form!r} is not one of {', '.join(FORMS)}")
    folder = folder_of(plan, form)
    folder.mkdir(parents=True, exist_ok=True)
    known = manifest(plan, form)
    wanted = [
        item for item in items if "sha256" not in known.get(item.id, {}) or not file_of(plan, form, item).exists()
    ]
    with (folder / "manifest.jsonl").open("a", encoding="utf-8") as file:
        for done, row in enumerate(_exported(wanted, plan, form, jobs, options), 1):
            known[row["id"]] = row
            print(json.dumps(row), file=file, flush=True)
            progress(len(items) - len(wanted) + done, len(items), row.get("what", ""))
    ours = {item.id for item in items}
    return {id_: row["failed"] for id_, row in known.items() if "failed" in row and id_ in ours}


def _exported(
    items: Sequence[Item], plan: Path, form: str, jobs: int, options: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    tasks = [(item, file_of(plan, form, item), form, options) for item in items]
    if jobs == 1:
        yield from (_export_one(*task) for task in tasks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=_one_thread, max_tasks_per_child=RENEWED) as pool:
        waiting = [pool.submit(_export_one, *task) for task in tasks]
        try:
            for future in as_completed(waiting):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _export_one(item: Item, path: Path, form: str, options: dict[str, Any]) -> dict[str, Any]:
    import deploy

    row: dict[str, Any] = {"id": item.id, "what": str(item)}
    try:
        module = item.module()
        if form == "coreml":
            deploy.export_coreml(module, (1, *item.shape), path, **options)
            return row | {"sha256": deploy.package_hash(path)}
        write = deploy.export_onnx if form == "onnx" else deploy.export_torchscript
        write(module, (1, *item.shape), path, **options)
    except (RuntimeError, ValueError, OSError, TypeError) as error:
        return row | {"failed": f"{type(error).__name__}: {first_line(error)}"}
    return row | {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
