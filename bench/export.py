"""Processor time and memory of exporting random units of two spaces at 224 pixels, one process, one thread.

python bench/export.py [--to coreml] [--units 200] [--verify]
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from deploy import export_coreml, export_onnx, export_torchscript, fuse_part, verify_coreml
from latency_lut.units import Unit, space_units
from supernet import load_space

EXPORTS: dict[str, tuple[Any, str]] = {
    "coreml": (export_coreml, ".mlpackage"),
    "onnx": (export_onnx, ".onnx"),
    "torchscript": (export_torchscript, ".pt"),
}


def random_blocks(number: int) -> list[Unit]:
    """Half of them from each space."""
    found: list[Unit] = []
    for name in ("efficientformerv2", "iformer"):
        blocks = [unit for unit in space_units(load_space(name).with_(resolutions=(224,))) if unit.part == "block"]
        found += random.Random(0).sample(blocks, number // 2)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", choices=tuple(EXPORTS), default="coreml")
    parser.add_argument("--units", type=int, default=200)
    parser.add_argument("--verify", action="store_true", help="also run each Core ML program and compare")
    args = parser.parse_args()
    torch.set_num_threads(1)
    export, suffix = EXPORTS[args.to]
    seconds, errors = [], []
    with tempfile.TemporaryDirectory() as folder:
        for index, unit in enumerate(random_blocks(args.units)):
            module = fuse_part(unit.module()).eval()
            start = time.process_time()
            report = export(module, (1, *unit.shape_in), Path(folder) / f"{index}{suffix}")
            seconds.append(time.process_time() - start)
            if args.verify and args.to == "coreml":
                errors.append(verify_coreml(report.path, module, report.shape_in).error)
    ordered = sorted(seconds[1:])
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    mean, most = statistics.mean(ordered), ordered[-len(ordered) // 20]
    print(f"{args.to}: {len(seconds)} blocks, mean {mean:.2f} s, 95 % {most:.2f} s,", end=" ")
    print(f"slowest {ordered[-1]:.2f} s; the first, with imports, {seconds[0]:.1f} s; peak memory {peak_gb:.2f} GB")
    if errors:
        print(f"worst relative error of the packages: {max(errors):.1e}")


if __name__ == "__main__":
    main()
