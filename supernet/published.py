"""Figures the authors published for their networks. Ours to compare with, none of them measured here."""

from __future__ import annotations

import functools
from typing import Any

import msgspec

from .plain_yaml import read_yaml
from .reading import NETWORKS


class Published(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Top-1 in percent, million parameters, billion MACs, and the latency on the device named."""

    top1: float | None = None
    params_m: float | None = None
    macs_g: float | None = None
    latency_ms: float | None = None
    device: str | None = None


@functools.cache
def published_figures() -> dict[str, Published]:
    data: Any = read_yaml(NETWORKS.parent / "published.yaml")
    return msgspec.convert(data, dict[str, Published])
