"""On what networks are judged, and how they are run: as the first run of training among them was, or as is said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from supernet import SpecError
from supernet.option_files import OptionFiles, format_options
from supernet.options import Options

from ..config import Count, DataConfig, PrecisionConfig
from ..network_folder import is_network_run, read_network_setting


class JudgingConfig(Options, frozen=True):
    data: DataConfig
    seed: Count = 0
    """Which images are held out follows from it."""
    precision: PrecisionConfig = PrecisionConfig()


_FILES = OptionFiles(JudgingConfig, "an evaluation")


def judging_config(names: Sequence[str], overrides: Sequence[str] = ()) -> JudgingConfig:
    """`names` as for `open_model`; all models are judged on the same images, those of the first that is a run."""
    run = next((Path(name) for name in names if is_network_run(Path(name))), None)
    if run is None:
        for name in names:
            is_path = "/" in name and not name.startswith("timm/") and not Path(name).suffix
            if Path(name).is_dir() or (is_path and not Path(name).exists()):
                read_network_setting(Path(name))  # it says what is wrong with it
        if not any(override.partition("=")[0].strip() in ("data", "data.source") for override in overrides):
            raise SpecError(
                "--set", "on which images? None of the models is a run: --set data.source=folder --set data.path=DIR"
            )
        return _FILES.parse("{}", overrides)
    config, _ = read_network_setting(run)
    own = JudgingConfig(data=config.data, seed=config.seed, precision=config.precision)
    return _FILES.parse(format_options(own), overrides)
