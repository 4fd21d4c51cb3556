"""Each item of a plan as a file for a device, made by several processes, continued where it was left.

Files appear whole or not at all, and their hashes stand in a manifest. What can't be exported is named there and does
not stop the others. Files are made in a folder beside, and only the one process that has claimed the manifest gives
them their names: what a killed command leaves running can't replace a file that the next one has made.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from supernet import SpecError
from supernet.values import first_line

from .items import Item
from .plan import claimed

FORMS = {"onnx": ".onnx", "coreml": ".mlpackage", "torchscript": ".pt"}
FEW = 50
"""So many are exported in the command's own process: to start another one would take longer."""
RENEWED = 300
"""Items for each other process, which is then replaced by a new one."""
MANIFEST = "manifest.jsonl"
_BESIDE = ".made-"


def folder_of(plan: Path, form: str) -> Path:
    return plan / form


def file_of(plan: Path, form: str, item: Item) -> Path:
    return folder_of(plan, form) / f"{item.id}{FORMS[form]}"


def manifest(plan: Path, form: str) -> dict[str, dict[str, Any]]:
    """By the item's id: `sha256`, or `failed` with a reason. The last line about an item counts, a damaged one does
    not: its item is made again."""
    path = folder_of(plan, form) / MANIFEST
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.exists() else []
    return {row["id"]: row for row in map(_row, lines) if row is not None}


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not isinstance(row.get("id"), str) or not isinstance(row.get("what", ""), str):
        return None
    is_made = re.fullmatch("[0-9a-f]{64}", str(row.get("sha256"))) and "failed" not in row
    has_failed = isinstance(row.get("failed"), str) and "sha256" not in row
    return row if is_made or has_failed else None


def export(
    items: Sequence[Item],
    plan: Path,
    form: str,
    jobs: int,
    options: dict[str, Any],
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> dict[str, str]:
    """Reasons of the items that failed, by id. What is there already, with these options, is left as it is."""
    if form not in FORMS:
        raise SpecError("--to", f"{form!r} is not one of {', '.join(FORMS)}")
    folder = folder_of(plan, form)
    folder.mkdir(parents=True, exist_ok=True)
    with claimed(folder / MANIFEST) as file, _beside(folder) as beside:
        known = manifest(plan, form)
        wanted = [
            item
            for item in items
            if not _is_made(known.get(item.id, {}), options) or not file_of(plan, form, item).exists()
        ]
        if (folder / MANIFEST).read_bytes()[-1:] not in (b"", b"\n"):
            file.write("\n")  # a torn line ends here

        def note(row: dict[str, Any]) -> None:
            known[row["id"]] = row
            print(json.dumps(row), file=file, flush=True)

        for done, (item, row) in enumerate(_exported(wanted, beside, form, jobs, options), 1):
            if "sha256" in row:
                if "sha256" in known.get(item.id, {}):  # of a file that has gone: it must not seem to be of this one
                    note({"id": item.id, "what": row["what"], "failed": "it was interrupted"})
                _put(beside / file_of(plan, form, item).name, file_of(plan, form, item))
            note(row)
            progress(len(items) - len(wanted) + done, len(items), row["what"])
    ours = {item.id for item in items}
    return {id_: row["failed"] for id_, row in known.items() if "failed" in row and id_ in ours}


def target_of_packages(plan: Path) -> str | None:
    """The oldest system that those exported last run on, if there are any."""
    targets = [row["target"] for row in manifest(plan, "coreml").values() if isinstance(row.get("target"), str)]
    return targets[-1] if targets else None


def _is_made(row: dict[str, Any], options: dict[str, Any]) -> bool:
    return "sha256" in row and all(row.get(name, value) == value for name, value in options.items())


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A folder of this process alone; what killed ones left is removed."""
    _clear(folder)
    try:
        yield Path(tempfile.mkdtemp(prefix=_BESIDE, dir=folder))
    finally:
        _clear(folder)


def _clear(folder: Path) -> None:
    for left_over in folder.glob(f"{_BESIDE}*"):
        shutil.rmtree(left_over, ignore_errors=True)


def _put(made: Path, path: Path) -> None:
    if made.is_dir() and path.exists():
        path.rename(made.with_suffix(".old"))  # a folder does not replace another
    made.replace(path)


def _exported(
    items: Sequence[Item], folder: Path, form: str, jobs: int, options: dict[str, Any]
) -> Iterator[tuple[Item, dict[str, Any]]]:
    if jobs == 1 and len(items) <= FEW:
        yield from ((item, _export_one(item, folder, form, options)) for item in items)
        return
    for start in range(0, len(items), jobs * RENEWED):
        yield from _in_processes(items[start : start + jobs * RENEWED], folder, form, jobs, options)


def _in_processes(
    items: Sequence[Item], folder: Path, form: str, jobs: int, options: dict[str, Any]
) -> Iterator[tuple[Item, dict[str, Any]]]:
    """By processes of their own. (The executor can renew processes itself, but comes to a halt when it does: Python's
    issue 115634.)"""
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_begin_process) as pool:
        waiting = {pool.submit(_export_and_forget, item, folder, form, options): item for item in items}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BrokenProcessPool:
            reason = "one of its processes was ended, perhaps for lack of memory; the same command goes on"
            raise SpecError("export", f"{reason}, and fewer --jobs need less") from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _begin_process() -> None:
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # what stops the command stops it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)


def _end_with_parent() -> None:
    """A command that is killed can't end its processes, which would wait for it for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _export_and_forget(item: Item, folder: Path, form: str, options: dict[str, Any]) -> dict[str, Any]:
    """PyTorch keeps the types of all that was ever traced, with their weights: up to 20 MB an item. Without them no
    traced module can run any more, so only a process that has none can do this."""
    import torch

    row = _export_one(item, folder, form, options)
    torch._C._jit_clear_class_registry()
    return row


def _export_one(item: Item, folder: Path, form: str, options: dict[str, Any]) -> dict[str, Any]:
    import deploy

    path = folder / f"{item.id}{FORMS[form]}"
    row: dict[str, Any] = {"id": item.id, "what": str(item)}
    try:
        module = item.module()
        writers: dict[str, Callable[..., deploy.ExportReport]] = {
            "coreml": deploy.export_coreml,
            "onnx": deploy.export_onnx,
            "torchscript": deploy.export_torchscript,
        }
        report = writers[form](module, (1, *item.shape), path, **options)
    except (RuntimeError, ValueError, OSError, TypeError) as error:
        return row | {"failed": f"{type(error).__name__}: {first_line(error)}"}
    return row | {"sha256": report.sha256, **options}
