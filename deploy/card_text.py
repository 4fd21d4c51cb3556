"""A model card as the Hugging Face hub shows it: what the network is, how it came about, how it is used."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from supernet import count
from supernet.describing import description
from supernet.families import FAMILIES
from supernet.values import printable
from training.network_config import NetworkConfig
from training.reading import format_config

from .origin import Origin

NO_LICENCE = (
    "**Not said yet.** Whoever publishes these weights says under which licence, and keeps to that of the training "
    "data: fill in this section and add `license:` to the lines at the top of this file."
)
PROGRAM = """\
import timm
import torch
from PIL import Image

import supernet.timm_model  # of Slimformer, which makes `slimformer` known to timm

folder = "."  # this folder, or huggingface_hub.snapshot_download("you/{name}")
net = timm.create_model(f"local-dir:{{folder}}", pretrained=True, spec=f"{{folder}}/spec.yaml").eval()
{image}
with torch.no_grad():
    probabilities = net(image).softmax(-1)[0]
classes = {classes}
for place in probabilities.topk({most}).indices.tolist():
    print(classes[place], f"{{probabilities[place]:.1%}}")
"""
COLOURED = """\
transform = timm.data.create_transform(**timm.data.resolve_model_data_config(net))
image = transform(Image.new("RGB", (640, 480)))[None]  # or Image.open("photo.jpg").convert("RGB")"""
OTHER = """\
image = torch.zeros(1, {chans}, {height}, {width})  # normalised"""


@dataclass(frozen=True)
class Told:
    """What a card says beside what the network itself says."""

    results: dict[str, Any]
    found: Sequence[str] = ()
    """How it was found, a paragraph or list item each."""
    latencies: Sequence[tuple[str, str]] = ()
    """Where, and how long."""
    licence: str = ""


def card_text(origin: Origin, told: Told) -> str:
    assert origin.config is not None
    sections = [
        ("Figures", _figures(origin, told)),
        ("Use", f"```python\n{program(origin)}```"),
        ("The network", f"`spec.yaml` says all of it.\n\n```\n{description(printable(origin.name), origin.spec)}\n```"),
        ("How it was trained", f"```yaml\n{format_config(_without_places(origin.config))}```"),
        ("How it was found", "\n".join(told.found)),
        ("Licence", told.licence or NO_LICENCE),
    ]
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in sections if text)
    intro = f"{FAMILIES[origin.spec.family].title}, made with Slimformer."
    return f"{_front_matter(told.licence)}\n# {printable(origin.name)}\n\n{intro}\n\n{body}\n"


def program(origin: Origin) -> str:
    """An example that runs beside the files of the card."""
    spec = origin.spec
    height, width = spec.size
    image = COLOURED if spec.in_chans == 3 else OTHER.format(chans=spec.in_chans, height=height, width=width)
    classes = 'open(f"{folder}/classes.txt", encoding="utf-8").read().splitlines()'
    if not origin.classes:
        classes = f"range({spec.num_classes})"
    return PROGRAM.format(name=printable(origin.name), image=image, classes=classes, most=min(5, spec.num_classes))


def _front_matter(licence: str) -> str:
    lines = ["library_name: timm", "pipeline_tag: image-classification"]
    lines += [f"license: {json.dumps(licence)}"] if licence else []
    tags = "".join(f"- {tag}\n" for tag in ("image-classification", "timm", "slimformer"))
    return "---\n" + "\n".join(lines) + f"\ntags:\n{tags}---\n"


def _figures(origin: Origin, told: Told) -> str:
    counted, spec, results = count(origin.spec), origin.spec, told.results
    height, width = spec.size
    rows = [
        ("image", f"{height}x{width}, {spec.in_chans} channels"),
        ("classes", f"{spec.num_classes:,}"),
        ("parameters", _many(counted.params)),
        ("MACs", _many(counted.macs)),
    ]
    judged = f", on {results['images']:,} validation images" if results.get("images") else ", on the validation images"
    for name, title in (("top1", "top-1"), ("top5", "top-5")):
        if name in results:
            rows.append((title, f"{results[name]:.2f} %{judged}"))
    if "epochs" in results:
        rows.append(("epochs", f"{results['epochs']:,}"))
    mean, std = (", ".join(f"{one:g}" for one in values) for values in (origin.augment.mean, origin.augment.std))
    rows.append(("preprocessing", f"crop {origin.augment.crop_pct:g}, mean ({mean}), std ({std})"))
    rows += [(f"latency, {printable(where)}", how_long) for where, how_long in told.latencies]
    return "| | |\n|---|---|\n" + "\n".join(f"| {name} | {value} |" for name, value in rows)


def _without_places(config: NetworkConfig) -> NetworkConfig:
    """What files are called, and not where they lie on the computer of whoever trained."""
    teacher = config.step.teacher
    if teacher is not None:
        teacher = replace(teacher, weights=Path(teacher.weights).name)
    return replace(
        config,
        spec=Path(config.spec).name,
        init=Path(config.init).name,
        data=replace(config.data, path=Path(config.data.path).name),
        step=replace(config.step, teacher=teacher),
    )


def _many(number: float) -> str:
    """In thousands or millions."""
    return f"{number / 1e6:,.4g} M" if number >= 1e6 else f"{number / 1e3:,.4g} k"
