"""A latency table of this computer, and how well it predicts networks that it has not seen.

    python bench/latency.py [--spaces iformer efficientformerv2] [--resolution 224] [--folder runs/latency] [--rounds 3]

Plans, exports to ONNX, measures with ONNX Runtime on one thread (processor time), fits on 30 networks spread over the
MACs, and predicts 40 others that were drawn at random. Then: how many networks a second are looked up, and how long a
table of 10,000 units takes to load. Interrupted, it goes on.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from latency_lut.__main__ import main as latency_lut
from latency_lut.items import Item
from latency_lut.lookup import LatencyTable
from latency_lut.protocol import Burst, Protocol
from latency_lut.table.latencies import Latencies
from latency_lut.table.placing import place_stretch
from latency_lut.table.store import Store
from supernet import load_space

LOOKED_UP = 200_000
ROWS = 10_000


def run(*arguments: object) -> None:
    print("\n$ python -m latency_lut " + " ".join(map(str, arguments)), flush=True)
    status = latency_lut([str(argument) for argument in arguments])
    if status:
        sys.exit(status)


def look_up(table: Path, space_name: str, resolution: int) -> None:
    space = load_space(space_name).with_(resolutions=(resolution,))
    start = time.process_time()
    population = LatencyTable(table).population(space)
    made = time.process_time() - start
    rng = random.Random(0)
    codes = np.array([space.encode(space.sample(rng)) for _ in range(500)], dtype=np.int32)
    codes = codes[np.random.default_rng(0).integers(0, len(codes), LOOKED_UP)]
    start = time.process_time()
    population(codes)
    speed = LOOKED_UP / (time.process_time() - start)
    print(f"{space_name}: {speed:,.0f} networks a second on one core; making the look-up takes {made:.2f} s")


def load_large(folder: Path) -> None:
    """Made-up rows: 10,000 chains, three rounds."""
    path = folder / "large.sqlite"
    path.unlink(missing_ok=True)
    rng = random.Random(0)
    key = '{"part":"block","kind":"conv","kernel":3,"expand":2.0,"in":[%d,%d,8]}'
    items = [Item(key % (1 + index % 500, 1 + index // 500), copies) for index in range(ROWS // 2) for copies in (1, 4)]
    with Store(path, create=True) as store, store.writing():
        collection = store.collection({"device": "made up"}, Protocol(rounds=3), "bench")
        numbers = store.add_items(items)
        for round_ in range(3):
            place_stretch(store, collection, round_, 0, "", (1.0, 1.0), "accepted")
            for item in items:
                ms = item.copies * rng.uniform(0.9, 1.1)
                store.add_burst(collection, numbers[item], round_, 0, Burst(ms, ms, ms, 8, 0.0))
    times = []
    for _ in range(5):
        start = time.process_time()
        with Store(path) as store:
            Latencies(store, store.find()).slopes  # noqa: B018  computed when it is asked for
        times.append(time.process_time() - start)
    print(f"a table of {len(items):,} items in 3 rounds, loaded with all slopes: {sorted(times)[2]:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spaces", nargs="+", default=["iformer", "efficientformerv2"], metavar="SPACE")
    parser.add_argument("--resolution", type=int, default=224)
    parser.add_argument("--folder", type=Path, default=Path("runs/latency"))
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    for space in args.spaces:
        plan, table = args.folder / space, args.folder / f"{space}.sqlite"
        size = ("--resolution", args.resolution)
        run("plan", space, *size, "--out", plan, "--networks", 30, "--unseen", 40)
        run("export", plan, "--to", "onnx")
        protocol = (f"rounds={args.rounds}", "burst_ms=40", "burst_runs=5")
        run("measure", plan, "--table", table, *(part for one in protocol for part in ("--protocol", one)))
        run("validate", table, "--held-out", 40, "--plot", args.folder / f"{space}.png")
        run("show", table, "--device", 1, "--plot", args.folder / f"{space}_units.png")
        print()
        look_up(table, space, args.resolution)
    load_large(args.folder)


if __name__ == "__main__":
    main()
