"""Small jobs for the tests of the phone path: packages that hold no network, because nobody runs them."""

import hashlib
import json

import deploy
from latency_lut.phone.job import Package, write_job
from latency_lut.protocol import Protocol

# Six units and six networks.
SPACE = """
family: iformer
resolution: 16
num_classes: 5
stem: {kind: expand, width: 8, kernel: 3, strides: [2, 1]}
stages:
- depth: [1, 2]
  blocks:
  - {kind: conv, kernel: 3, expand: 2}
- width: 16
  downsample: {kind: conv, kernel: 3, bias: false}
  depth: [1, 2]
  blocks:
  - {kind: conv, kernel: 3, expand: [2, 3]}
head: {kind: pool_norm}
"""
QUICK = Protocol(
    rounds=2, warm_up=1, burst_runs=3, burst_ms=0, idle_ms=1, sustained_runs=4, round_repeats=1, burst_repeats=2
)


def make_packages(folder, names=("a1", "b2", "c3", "d4")):
    for name in names:
        package = folder / f"{name}.mlpackage"
        weights = package / "Data" / "com.apple.CoreML" / "weights"
        weights.mkdir(parents=True)
        (package / "Manifest.json").write_text(json.dumps({"name": name}))
        (weights / "weight.bin").write_bytes(hashlib.sha256(name.encode()).digest() * 40)
        yield Package(name, package, deploy.package_hash(package), sustained=name == "d4")


def make_job(folder, protocol=QUICK, anchor="a1", **keywords):
    packages = list(make_packages(folder / "packages", **keywords))
    write_job(folder / "job", packages, compute_units="cpu_and_ne", anchor=anchor, protocol=protocol)
    return folder / "job"
