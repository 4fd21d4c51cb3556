"""Images that the best network gets wrong, as it sees them: they say more than a percentage."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import torch
from msgspec.structs import replace
from torch import Tensor

from search.results.markup import text
from supernet.values import UserError, counted
from training.judging import Model, open_model

from .found import BEST, Found
from .markup import card, heading, note

MOST_IMAGES = 12_000
"""Of a data set that is opened for this; a page should not take minutes."""
SHOWN = 12
_LEAST_SIDE = 96


class Mistake(NamedTuple):
    image: Tensor
    """(channels, height, width), from 0 to 1."""
    label: str
    answer: str


def examples(found: Found, images: float | None) -> str:
    """Of `images` that were judged; empty where the data or the weights are not at hand."""
    run = found.reader.folder / "networks" / BEST
    if images is None or images > MOST_IMAGES or not (run / "model.safetensors").is_file():
        return ""
    try:
        seen = list(islice(mistakes(open_model(str(run))), SHOWN))
    except (UserError, OSError) as error:
        found.reader.blame("the images", error)
        return ""
    if not seen:
        return ""
    figures = "".join(_figure(one) for one in seen)
    words = f"{counted(len(seen), 'image')} that {BEST} gets wrong, as it sees them"
    return card(heading(words), note("The answer, and what is right."), f'<div class="examples">{figures}</div>')


@torch.inference_mode()
def mistakes(model: Model) -> Iterator[Mistake]:
    assert model.data is not None, "only a run knows its data"
    config = replace(model.data, workers=0, batch_size=1)
    from training.data import open_data

    data = open_data(config, model.augment(), seed=model.seed, in_chans=model.in_chans)
    names = data.classes or model.classes or tuple(map(str, range(data.num_classes)))
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (model.mean, model.std))
    for images, labels in data.validation_batches(model.size):
        answers = model.net(images).argmax(1)
        for at in (answers != labels).nonzero().flatten().tolist():
            image = (images[at] * std + mean).clamp(0, 1)
            yield Mistake(image, names[int(labels[at])], names[int(answers[at])])


def _figure(one: Mistake) -> str:
    data = base64.b64encode(_png(one.image)).decode("ascii")
    words = f"{one.answer}, not {one.label}"
    small = ' class="small"' if max(one.image.shape[1:]) < _LEAST_SIDE else ""
    image = f'<img{small} src="data:image/png;base64,{data}" alt="{text(f"taken for {words}")}">'
    return f"<figure>{image}<figcaption>{text(words)}</figcaption></figure>"


def _png(image: Tensor) -> bytes:
    from PIL import Image

    pixels = (255 * image).round().byte().permute(1, 2, 0).numpy()
    content = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels[:, :, :3]).save(content, "PNG")
    return content.getvalue()
