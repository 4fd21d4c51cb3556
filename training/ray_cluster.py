"""Coming to a Ray cluster: the one that is named or that runs here, else one that is started on this computer."""

from __future__ import annotations

import os
import socket
from typing import Any

from supernet.values import SpecError, first_line, show

ADDRESS_S = 10.0


def join(ray: Any, field: str, address: str = "", **options: Any) -> None:
    """`ray.init`; empty, the address is RAY_ADDRESS, if that is set. A SpecError names whichever is wrong."""
    field = "RAY_ADDRESS" if not address and os.environ.get("RAY_ADDRESS") else field
    _check_address(address or os.environ.get("RAY_ADDRESS", ""), field)
    try:
        ray.init(address=address or None, **options)
    except (ConnectionError, ValueError) as error:
        raise SpecError(field, f"no Ray cluster was found: {first_line(error)}") from None


def _check_address(address: str, field: str) -> None:
    """Ray would try for minutes to reach what is not there."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return  # auto, local, or nothing
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ADDRESS_S).close()
    except (OSError, OverflowError) as error:
        raise SpecError(field, f"no Ray cluster answers at {show(address)}: {first_line(error)}") from None
