"""Speed of our networks beside timm's: the same network, the same weights, in turn, in one process.

    python bench/networks.py [--names iformer_t lowformer_b0] [--pairs 30] [--batch 4] [--threads 2] [--json]

Each pair times ours and timm's once, in alternating order. The ratio is the median over the pairs of ours / timm's, so
that a machine whose speed drifts does not decide; the spread is that of the middle half of the pairs. The Inception
Transformer is not in timm and has no row.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent.parent))

import supernet
from bench.timing import Timed, in_turn

NAMES = ("efficientformer_l1", "efficientformerv2_s0", "iformer_t", "lowformer_b0")


def pair_of_networks(name: str) -> tuple[nn.Module, nn.Module]:
    ours = supernet.build(supernet.load_spec(name))
    theirs = timm.create_model(name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        supernet.save_weights(ours, path)
        theirs.load_state_dict(timm.models.load_state_dict(str(path)))
    return ours, theirs


def step(net: nn.Module, x: torch.Tensor, train: bool) -> Callable[[], None]:
    net.train(train)

    def forward() -> None:
        with torch.inference_mode():
            net(x)

    def forward_backward() -> None:
        net.zero_grad(set_to_none=True)
        net(x).square().mean().backward()

    return forward_backward if train else forward


def compare(name: str, train: bool, batch: int, pairs: int, device: str) -> dict[str, Any]:
    x = torch.randn(batch, 3, *supernet.load_spec(name).size, device=device)
    ours, theirs = (step(net.to(device), x, train) for net in pair_of_networks(name))
    in_turn([(Timed(ours), Timed(theirs))] * 3)
    found = in_turn([(Timed(ours), Timed(theirs))] * pairs)
    kind = "forward+backward" if train else "forward"
    return {"network": name, "pass": kind, "batch": batch, **found.row("timm")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", nargs="+", default=NAMES, metavar="NAME", help="published networks that timm has")
    parser.add_argument("--pairs", type=int, default=30, help="timed pairs a row (default 30)")
    parser.add_argument("--batch", type=int, default=4, help="images a step (default 4)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument("--json", action="store_true", help="one JSON object a row instead of a table")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    if not args.json:
        print(f"{'network':22}{'pass':18}{'ours ms':>9}{'timm ms':>9}{'ratio':>8}  middle half of {args.pairs} pairs")
    for name in args.names:
        for train in (False, True):
            row = compare(name, train, args.batch, args.pairs, args.device)
            if args.json:
                print(json.dumps(row), flush=True)
            else:
                low, high = row["ratio_quartiles"]
                print(
                    f"{name:22}{row['pass']:18}{row['ours_ms']:9.1f}{row['timm_ms']:9.1f}{row['ratio']:8.3f}"
                    f"  {low:.3f} to {high:.3f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
