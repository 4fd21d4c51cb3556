"""coremltools without its noise: progress bars, warnings of versions that it was not tested with, and long sweeps."""

from __future__ import annotations

import contextlib
import functools
import gc
import io
import logging
from collections.abc import Iterator
from typing import Any

from supernet.values import first_line

from .errors import DeployError
from .tracing import silence


@functools.cache
def coremltools() -> Any:
    """The package, which takes seconds to import."""
    with quietly():
        try:
            import coremltools as package
        except ImportError as error:
            raise DeployError(f"for Core ML packages, coremltools is needed: {first_line(error)}") from None
    return package


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Each conversion sweeps all objects of the process for garbage, which takes longer than the conversion of a block.
    What was there before is left out of the sweep, and what the conversion leaves behind is swept at the end.
    """
    logger = logging.getLogger("coremltools")
    level, freeze = logger.level, gc.get_freeze_count() == 0
    logger.setLevel(logging.ERROR)
    if freeze:
        gc.freeze()
    try:
        with silence(), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
        if freeze:
            gc.collect()
            gc.unfreeze()
