"""Computes the work of all published networks again: `python -m latency_lut.estimate.regenerate`, a minute or two.

To add a figure, write its record into published.json, with its source and its network, and run this. With `--check`
nothing is written, and what differs is named.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import timm
import torch
from torch import nn

from supernet import NetSpec, SpecError, load_spec
from supernet.whole_files import write_whole

from .features import features
from .published import FILE, Measured, Published, read, text


def twin(network: Measured) -> NetSpec | nn.Module:
    if network.make == "spec":
        return load_spec(network.model)
    with torch.device("meta"):
        try:
            model: nn.Module = timm.create_model(network.model, img_size=network.resolution)
        except TypeError:  # most convolutional networks don't ask
            model = timm.create_model(network.model)
    return model


def computed(network: Measured) -> Measured:
    found = features(twin(network), network.resolution, part=network.part)
    sums = {kind: list(row) for kind, row in found.sums.items()}
    return msgspec.structs.replace(network, params=found.params, sums=sums)


def regenerated(data: Published) -> Iterator[tuple[str, Measured]]:
    for name, network in data.networks.items():
        try:
            yield name, computed(network)
        except SpecError as error:
            raise error.under(f"networks.{name}") from None


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only say what differs from the file")
    parser.add_argument("--file", type=Path, default=FILE, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    try:
        data = read(args.file)
        networks, changed = {}, []
        for name, network in regenerated(data):
            networks[name] = network
            if network != data.networks[name]:
                changed.append(name)
                print(f"{name}: {'differs' if args.check else 'computed'}", flush=True)
    except SpecError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{len(networks)} networks, {len(changed)} of them {'differ' if args.check else 'changed'}")
    if not args.check:
        write_whole(args.file, text(msgspec.structs.replace(data, networks=networks)).encode())
    return 1 if args.check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
