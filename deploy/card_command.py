"""`python -m deploy card`: a folder that the Hugging Face hub and timm take as it is."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from supernet import save_spec
from supernet.values import printable
from supernet.whole_files import write_whole
from training.network_folder import CLASSES, WEIGHTS, read_results

from .card_sources import how_found, measured_latency
from .card_text import Told, card_text
from .errors import DeployError, ExportError
from .files import whole_folder, writing
from .origin import SPEC, Origin, open_run

README, CONFIG = "README.md", "config.json"


def add_card(commands: Any) -> None:
    help_ = "a model card with weights, spec and classes, ready for the Hugging Face hub and for timm"
    command = commands.add_parser("card", help=help_, description=help_)
    command.set_defaults(run=card_command)
    command.add_argument("origin", metavar="RUN", type=Path, help="a folder of retrain.py")
    command.add_argument("--out", required=True, metavar="FOLDER", type=Path, help="a new folder, or a card to replace")
    command.add_argument("--search", metavar="FOLDER", type=Path, help="of search.py, which found the network")
    command.add_argument(
        "--latency", metavar="FILE", type=Path, help="what `python -m latency_lut bench MODEL --json` printed for it"
    )
    command.add_argument("--licence", metavar="NAME", default="", help="in the hub's words, such as apache-2.0")


def card_command(args: argparse.Namespace) -> int:
    if not args.origin.is_dir():
        raise DeployError(f"{printable(str(args.origin))} is no folder of retrain.py")
    _check_replaceable(args.out)
    origin = open_run(args.origin)
    if not origin.spec.num_classes:
        raise DeployError(f"{printable(str(args.origin))} has no classes: a card is for classification")
    found, latencies = how_found(args.search, origin.spec) if args.search else ([], [])
    latencies += [measured_latency(args.latency)] if args.latency else []
    told = Told(read_results(args.origin), found, latencies, args.licence)
    write_card(args.out, args.origin, origin, told)
    names = ", ".join(sorted(path.name for path in args.out.iterdir()))
    print(f"{printable(str(args.out))}: {names}")
    return 0


def write_card(folder: Path, run: Path, origin: Origin, told: Told) -> None:
    """All files or none. The weights are those of the run, under timm's names where timm can have the network."""
    with whole_folder(folder) as made, writing(folder):
        shutil.copyfile(run / WEIGHTS, made / WEIGHTS)
        save_spec(origin.spec, made / SPEC)
        write_whole(made / CONFIG, json.dumps(timm_config(origin), indent=2) + "\n")
        if origin.classes:
            write_whole(made / CLASSES, "".join(f"{name}\n" for name in origin.classes))
        write_whole(made / README, card_text(origin, told))


def timm_config(origin: Origin) -> dict[str, Any]:
    """As timm's functions for the hub read it. The spec is not in it: timm gives it on to `slimformer` as it is, and
    that wants a file, so whoever loads the network says where spec.yaml is."""
    spec, augment = origin.spec, origin.augment
    names = {"label_names": list(origin.classes)} if origin.classes else {}
    return {
        "architecture": "slimformer",
        "num_classes": spec.num_classes,
        "num_features": origin.net.num_features,
        "global_pool": "avg",
        **names,
        "pretrained_cfg": {
            "input_size": [spec.in_chans, *spec.size],
            "fixed_input_size": spec.fixed_size,
            "interpolation": "bilinear" if augment.interpolation == "random" else augment.interpolation,
            "crop_pct": augment.crop_pct,
            "crop_mode": "center",
            "mean": list(augment.mean),
            "std": list(augment.std),
            "num_classes": spec.num_classes,
            "first_conv": "stem.conv1.conv",
            "classifier": spec.head.scores_layers(spec.distilled),
        },
    }


def _check_replaceable(folder: Path) -> None:
    if not folder.exists():
        return
    ours = folder.is_dir() and (folder / README).is_file() and (folder / CONFIG).is_file() and (folder / SPEC).is_file()
    if not ours and not (folder.is_dir() and not any(folder.iterdir())):
        raise ExportError(f"{printable(str(folder))} is no card, so it is not replaced by one")
