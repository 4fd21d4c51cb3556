"""The command line: python -m latency_lut.estimate MODEL… --device iphone13."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import timm
from torch import nn

from supernet import NetSpec, load_spec, published_names
from supernet.command_line import run_safely
from supernet.values import SpecError, did_you_mean, printable

from .estimating import COVERAGE, Estimate, estimate_ms


def network(name: str) -> NetSpec | nn.Module:
    """One of our specs by its name or file, or a model of timm."""
    if name not in published_names() and timm.is_model(name):
        model: nn.Module = timm.create_model(name)
        return model
    if name not in published_names() and not Path(name).suffix and not Path(name).exists():
        known = did_you_mean(name, timm.list_models())
        near = f", {known}" if known.startswith("did") else "; `python -m supernet list` has the published ones"
        raise SpecError(printable(name), f"is no published network, no file, and no model of timm's{near}")
    return load_spec(name)


def line(name: str, found: Estimate) -> str:
    parts = ", ".join(f"{part} {ms:.2f}" for part, ms in found.parts.items())
    return f"{printable(name):<28} {found}\n{'':<28} {parts}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m latency_lut.estimate",
        description="Latencies on iPhones that nobody has at hand: estimated from published figures, never measured.",
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="a published name, a YAML file or a model of timm")
    parser.add_argument("--device", default="iphone13", help="such as iphone13 (the default) or 'iPhone 12 Pro'")
    parser.add_argument("--resolution", type=int, help="side of the image; by default what the network was made for")
    parser.add_argument("--coverage", type=float, default=COVERAGE, help=f"of the interval (default {COVERAGE})")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    args = parser.parse_args(arguments)

    def run() -> None:
        for name in args.models:
            found = estimate_ms(network(name), args.device, args.resolution, coverage=args.coverage)
            print(json.dumps({"model": name, **asdict(found)}) if args.json else line(name, found), flush=True)

    return run_safely(run)


if __name__ == "__main__":
    sys.exit(main())
