"""Processor time and memory of exporting random units of two spaces at 224 pixels, one process, one thread.

python bench/export.py [--to coreml] [--units 200] [--verify]

How far files of whole networks are from the networks: one of each family, and random members of each space. Norms,
layer scales and tables are of order one, so that no branch hides; two noise images; the second figure of Core ML is
with each result rounded to fp16.

python bench/export.py --networks [--members 5]
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(1, str(Path(__file__).parent.parent / "tests"))

from filling import lived_in

from deploy import export_coreml, export_onnx, export_torchscript, fuse_part, verify_coreml, verify_onnx
from latency_lut.units import Unit, space_units
from supernet import NetSpec, build, fuse, load_space, load_spec, space_names

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


FAMILIES = ("efficientformer_l1", "efficientformerv2_s0", "iformer_t", "inception_iformer_small", "lowformer_b0")


def chosen_networks(members: int) -> Iterator[tuple[str, NetSpec]]:
    for name in FAMILIES:
        yield name, load_spec(name)
    for name in space_names():
        space, generator = load_space(name), random.Random(0)
        for number in range(1, members + 1):
            yield f"{name} {number}", space.sample(generator)


def compare_networks(members: int) -> None:
    worst: dict[str, float] = {}
    print(f"{'network':28}{'pixels':>8}{'M params':>10}{'Core ML':>10}{'rounded':>10}{'ONNX':>10}")
    for name, spec in chosen_networks(members):
        torch.manual_seed(0)
        net = lived_in(build(spec)).eval()
        shape, fused = (1, spec.in_chans, *spec.size), fuse(net)
        with tempfile.TemporaryDirectory() as folder:
            package, file = Path(folder) / "net.mlpackage", Path(folder) / "net.onnx"
            export_coreml(fused, shape, package)
            export_onnx(fused, shape, file)
            errors = {
                "Core ML": verify_coreml(package, net, shape).error,
                "rounded": verify_coreml(package, net, shape, rounded=True).error,
                "ONNX": verify_onnx(file, net, shape).error,
            }
        params = sum(one.numel() for one in fused.parameters()) / 1e6
        print(
            f"{name:28}{spec.size[0]:8}{params:10.2f}" + "".join(f"{one:10.1e}" for one in errors.values()), flush=True
        )
        worst = {form: max(error, worst.get(form, 0)) for form, error in errors.items()}
    print("worst: " + ", ".join(f"{form} {error:.1e}" for form, error in worst.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", choices=tuple(EXPORTS), default="coreml")
    parser.add_argument("--units", type=int, default=200)
    parser.add_argument("--verify", action="store_true", help="also run each Core ML program and compare")
    parser.add_argument("--networks", action="store_true", help="whole networks instead of units")
    parser.add_argument("--members", type=int, default=5, help="of each space")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.networks:
        compare_networks(args.members)
        return
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
