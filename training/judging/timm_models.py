"""timm's models, to be judged beside ours."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import torch
from torch import nn

from supernet import SpecError, WeightsError, count, load_spec, published_names
from supernet.options import Size
from supernet.values import did_you_mean, first_line, printable, show
from supernet.weights.files import read_state

from .models import TIMM, Model

logger = logging.getLogger("training")


def open_timm_model(name: str, weights: str | Path | None, resolution: int | Size | None) -> Model:
    """`name` begins with timm/. Without a file of weights, with the pretrained ones of its tag."""
    import timm
    from timm.data import resolve_model_data_config

    shown, plain = printable(name), name.removeprefix(TIMM)
    if not timm.is_model(plain):
        raise SpecError(shown, f"timm has no such model, {did_you_mean(plain.partition('.')[0], timm.list_models())}")
    try:
        config = timm.get_pretrained_cfg(plain, allow_unregistered=False)
    except RuntimeError as error:
        raise SpecError(shown, first_line(error)) from None
    wanted = (resolution, resolution) if isinstance(resolution, int) else resolution
    size = config.input_size[1:] if wanted is None else wanted
    given = {"img_size": size} if config.fixed_input_size and wanted is not None else {}
    net = _pretrained(plain, shown, given) if weights is None else _loaded(plain, shown, config, weights, given)
    images = resolve_model_data_config(net)
    num_classes: Any = net.num_classes
    if images["crop_mode"] != "center" or images["interpolation"] not in ("bilinear", "bicubic"):
        logger.warning(
            "%s: it was trained for images cut as %s and resized as %s; it gets the centre, bicubic",
            shown,
            images["crop_mode"],
            images["interpolation"],
        )
        images["interpolation"] = "bicubic"
    _try(net, size, images["input_size"][0], shown)
    params = sum(parameter.numel() for parameter in net.parameters())
    spec_name = plain.partition(".")[0]
    return Model(
        name=name,
        net=net.eval(),
        size=size,
        mean=images["mean"],
        std=images["std"],
        crop_pct=images["crop_pct"],
        interpolation=images["interpolation"],
        num_classes=num_classes,
        params=params,
        macs=_macs(spec_name, num_classes, size, params),
        weights="pretrained" if weights is None else str(weights),
        in_chans=images["input_size"][0],
    )


def _pretrained(name: str, shown: str, given: dict[str, Any]) -> nn.Module:
    import timm

    try:
        return timm.create_model(name, pretrained=True, **given)
    except TypeError as error:
        raise _fixed(shown, given, error) from None
    except (RuntimeError, OSError, ValueError) as error:
        raise SpecError(shown, f"its pretrained weights can't be had: {first_line(error)}; --weights FILE?") from None


def _loaded(name: str, shown: str, config: Any, path: str | Path, given: dict[str, Any]) -> nn.Module:
    """Through timm's own loading, which knows older names and resizes tables, of tensors that our reader has read."""
    import timm

    state, _ = read_state(path)
    classifiers = (config.classifier,) if isinstance(config.classifier, str) else config.classifier or ()
    known = next((state[f"{layer}.weight"] for layer in classifiers if f"{layer}.weight" in state), None)
    num_classes = config.num_classes if known is None else known.shape[0]
    overlay = {"state_dict": state, "num_classes": num_classes, "source": "", "custom_load": False, "label_offset": 0}
    try:
        timm.create_model(name, **given)
    except TypeError as error:
        raise _fixed(shown, given, error) from None
    try:
        return timm.create_model(
            name, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=num_classes, **given
        )
    except Exception as error:  # each model's own reading fails in its own way on tensors of another
        said = re.sub(r"^Error\(s\) in loading state_dict for \w+:", "", str(error))
        reason = " ".join(said.split())[:300] or type(error).__name__
        raise WeightsError(f"{printable(str(path))}: does not fit {shown}: {reason}") from None


def _fixed(shown: str, given: dict[str, Any], error: TypeError) -> SpecError:
    size = show(given.get("img_size"))
    return SpecError("--resolution", f"{shown} can't be made for images of {size} pixels: {first_line(error)}")


def _try(net: nn.Module, size: Size, in_chans: int, shown: str) -> None:
    """Some networks take images of one size only."""
    net.eval()
    try:
        with torch.inference_mode():
            net(torch.zeros(1, in_chans, *size))
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = f"{shown} can't take images of {size[0]}x{size[1]} pixels: {first_line(error)}"
        raise SpecError("--resolution", reason) from None


def _macs(name: str, num_classes: int, size: Size, params: int) -> int | None:
    """Of a network that is ours too."""
    if name not in published_names():
        return None
    try:
        counted = count(load_spec(name).with_(num_classes=num_classes, resolution=size))
    except SpecError:
        return None
    return counted.macs if counted.params == params else None
