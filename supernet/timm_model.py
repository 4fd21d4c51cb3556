"""Our networks as timm models: `timm.create_model("slimformer", spec=...)`, after `import supernet.timm_model`.

timm's training and validation scripts, and libraries built on timm's backbones, then work with any spec.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

from .network import Network, build
from .options import Size
from .reading import load_spec
from .spec import NetSpec
from .weights import load_weights
from .weights.fitting import fit_state
from .weights.loading import check_report

default_cfgs = generate_default_cfgs(
    {
        "slimformer.untrained": {
            "input_size": (3, 224, 224),
            "num_classes": 1000,
            "crop_pct": 0.95,
            "interpolation": "bicubic",
            "mean": IMAGENET_DEFAULT_MEAN,
            "std": IMAGENET_DEFAULT_STD,
        }
    }
)


@register_model  # type: ignore[untyped-decorator]
def slimformer(
    pretrained: bool = False,
    *,
    spec: NetSpec | str | Path | None = None,
    weights: str | Path | None = None,
    img_size: int | Size | None = None,
    **kwargs: Any,
) -> nn.Module:
    """A network from a spec: a `NetSpec`, a published name or a file.

    `num_classes`, `in_chans`, `img_size` and what else timm's models take overrule the spec; `weights` is a checkpoint
    for `supernet.load_weights`. `features_only=True` gives the feature maps of all stages.
    """
    if spec is None:
        raise ValueError("slimformer needs a spec: create_model('slimformer', spec='iformer_t') or spec='my.yaml'")
    chosen = spec if isinstance(spec, NetSpec) else load_spec(spec)
    trained_for = chosen.num_classes
    if img_size is not None:
        chosen = chosen.with_(resolution=img_size)
    if "in_chans" in kwargs:
        chosen = chosen.with_(in_chans=kwargs["in_chans"])
    overlay = {
        "input_size": (chosen.in_chans, *chosen.size),
        "num_classes": trained_for,
        "fixed_input_size": chosen.fixed_size,
        "classifier": tuple(chosen.head.scores_layers(chosen.distilled)),
        **(kwargs.pop("pretrained_cfg_overlay", None) or {}),
    }

    def make(
        num_classes: int = chosen.num_classes,
        in_chans: int = chosen.in_chans,
        global_pool: str = "avg",
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        output_stride: int | None = None,
    ) -> Network:
        net = build(chosen.with_(num_classes=num_classes), drop_path=drop_path_rate, dropout=drop_rate)
        if output_stride not in (None, net.feature_info[-1]["reduction"]):
            raise ValueError(
                f"output_stride {output_stride} is not {net.feature_info[-1]['reduction']}, the network's own"
            )
        if weights is not None:
            load_weights(net, weights)
        if global_pool != "avg":
            net.reset_classifier(0, global_pool)
        return net

    return build_model_with_cfg(
        make,
        "slimformer",
        pretrained,
        pretrained_cfg_overlay=overlay,
        pretrained_filter_fn=_fitted,
        feature_cfg={"out_indices": tuple(range(len(chosen.stages))), "feature_cls": "getter"},
        kwargs_filter=("img_size", "fixed_input_size"),
        **kwargs,
    )


def _fitted(state: dict[str, Tensor], model: Network) -> dict[str, Tensor]:
    """For timm's own loading of `pretrained_cfg_overlay={"file": …}`: all tensors of the model, the file's where it has
    them, by the rules of `load_weights`."""
    fitting, report = fit_state(model, state, {}, "pretrained file")
    check_report(report, "pretrained file", strict=True)
    return {**model.state_dict(), **fitting}
