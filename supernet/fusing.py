"""The form a network is shipped in: batch norms and re-parameterised branches folded into the layers beside them."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from .heads import Classifier, NormedLinear, PooledClassifier
from .layers import Branch, ConvNorm
from .network import Network, plain_network


def fuse(net: nn.Module) -> Network:
    """A copy in eval mode with the same scores and fewer layers.

    Folded are: batch norms (also synchronised and frozen ones) into convolutions; iFormer's position encoding and
    Inception's fusing convolution, both x + conv(x), into one convolution; the batch norms of the head into the
    classifier, so that EfficientFormerV2's last feature map comes without it; two classifiers into one. The copy can't
    be trained further and has no names in timm.
    """
    fused = fuse_part(plain_network(net))
    assert isinstance(fused, Network)
    return fused


@torch.no_grad()
def fuse_part(part: nn.Module) -> nn.Module:
    """The same for a block, a stem, a head, a chain of them: any module that has our layers in it.

    The final norm of a network is folded where it stands as in a network: a module that has it as `norm` and the head
    as `head`.
    """
    holder = nn.Sequential(copy.deepcopy(part)).eval()  # the part itself may be what is folded
    for module in holder.modules():
        if isinstance(module, ConvNorm):
            _fold_norm(module)
    for module in list(holder.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Branch) and _is_residual_conv(child):
                setattr(module, name, _fold_identity(child))
            elif isinstance(child, Classifier):
                setattr(module, name, _as_one_linear(child))
    for module in holder.modules():
        norm, head = getattr(module, "norm", None), getattr(module, "head", None)
        if isinstance(norm, nn.Module) and isinstance(head, PooledClassifier):
            module.norm = _fold_final_norm(norm, head)
    return holder[0]


def is_batch_norm(norm: nn.Module) -> bool:
    """Whether a norm in eval mode multiplies and shifts each channel by constants, whoever wrote it."""
    tensors = (getattr(norm, name, None) for name in ("running_mean", "running_var", "weight", "bias"))
    acts = any(not isinstance(child, nn.Identity) for child in norm.children())
    return all(isinstance(tensor, Tensor) for tensor in tensors) and not acts


def scale_and_shift(norm: Any) -> tuple[Tensor, Tensor]:
    """A batch norm in eval mode is one multiplication and one addition for each channel."""
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return scale, norm.bias - norm.running_mean * scale


def _check_norm(norm: nn.Module) -> None:
    if not is_batch_norm(norm):
        raise ValueError(f"{norm} can't be folded; fuse takes batch norms with statistics, weight and bias")


def _fold_norm(layer: ConvNorm) -> None:
    if isinstance(layer.norm, nn.Identity):
        return
    _check_norm(layer.norm)
    scale, shift = scale_and_shift(layer.norm)
    conv = layer.conv
    bias = shift if conv.bias is None else conv.bias * scale + shift
    conv.weight = nn.Parameter(conv.weight * scale[:, None, None, None])
    conv.bias = nn.Parameter(bias)
    layer.norm = nn.Identity()


def _is_residual_conv(branch: Branch) -> bool:
    if branch.scale is not None:
        return False
    if isinstance(branch.body, ConvNorm):
        return isinstance(branch.body.norm, nn.Identity)
    return isinstance(branch.body, nn.Conv2d)


def _fold_identity(branch: Branch) -> nn.Conv2d:
    """x + conv(x) for a depthwise convolution: one more at the centre of each kernel."""
    conv = branch.body.conv if isinstance(branch.body, ConvNorm) else branch.body
    assert isinstance(conv, nn.Conv2d)
    assert conv.groups == conv.in_channels == conv.out_channels
    centre = conv.kernel_size[0] // 2
    weight = conv.weight.clone()
    weight[:, 0, centre, centre] += 1
    conv.weight = nn.Parameter(weight)
    return conv


def _as_one_linear(classifier: Classifier) -> nn.Linear:
    first = _as_linear(classifier.first)
    if classifier.second is not None:
        second = _as_linear(classifier.second)
        first.weight.add_(second.weight).div_(2)
        first.bias.add_(second.bias).div_(2)
    return first


def _fold_final_norm(norm: nn.Module, head: PooledClassifier) -> nn.Module:
    """What remains of the norm: pooling between it and the classifier changes nothing, as both are linear."""
    layers = (head.before, head.after)
    straight = head.pool and all(isinstance(layer, nn.Identity) for layer in layers)
    if not (straight and isinstance(head.classifier, nn.Linear) and is_batch_norm(norm)):
        return norm
    _fold_before(norm, head.classifier)
    return nn.Identity()


def _as_linear(layer: nn.Module) -> nn.Linear:
    if isinstance(layer, NormedLinear):
        _check_norm(layer.norm)
        _fold_before(layer.norm, layer.linear)
        return layer.linear
    assert isinstance(layer, nn.Linear)
    return layer


def _fold_before(norm: nn.Module, linear: nn.Linear) -> None:
    scale, shift = scale_and_shift(norm)
    linear.bias.add_(linear.weight @ shift)
    linear.weight.mul_(scale)
