"""How many random specs a second are made and counted on one core.

    python bench/counting.py

The specs lie around EfficientFormerV2-L: other widths, depths, kernels and expansions, as a search tries them. What
torch and timm left on the heap is kept out of Python's garbage collection, one pass over which takes 0.2 s.
"""

from __future__ import annotations

import gc
import random
import sys
import time
from pathlib import Path

from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parent.parent))

from supernet import NetSpec, count, load_spec
from supernet.blocks import block_cost
from supernet.downsamples import downsample_cost

NUMBER = 2000


def random_member(base: NetSpec, r: random.Random) -> NetSpec:
    """The base with other widths, fewer blocks, other kernels and expansions."""
    widths = [stage.width - 8 * r.randint(0, stage.width // 24) for stage in base.stages]
    stages = []
    for stage, width in zip(base.stages, widths, strict=True):
        kept = stage.blocks[: r.randint(1, len(stage.blocks))]
        blocks = tuple(replace(b, kernel=r.choice((3, 5, 7)), expand=r.choice((2, 2.5, 3, 3.5, 4))) for b in kept)
        stages.append(replace(stage, width=width, blocks=blocks))
    return base.with_(stem=replace(base.stem, width=widths[0]), stages=tuple(stages))


def main() -> None:
    gc.collect()
    gc.freeze()
    r, base = random.Random(0), load_spec("efficientformerv2_l")
    for title in ("first", "again", "again"):
        start = time.process_time()
        specs = [random_member(base, r) for _ in range(NUMBER)]
        print(f"{title}: {NUMBER / (time.process_time() - start):8,.0f} specs made and checked a second")
    for title in ("nothing cached", "blocks seen before"):
        if title == "nothing cached":
            block_cost.cache_clear()
            downsample_cost.cache_clear()
        start = time.process_time()
        for spec in specs:
            count(spec)
        print(f"{title}: {NUMBER / (time.process_time() - start):8,.0f} specs counted a second")


if __name__ == "__main__":
    main()
