"""The runs that come along: each reads, says how it is started, and sets nothing that is so anyway."""

import re
from pathlib import Path

import msgspec
import pytest

from supernet import load_space
from supernet.options import Options, field_hints
from supernet.plain_yaml import parse_yaml
from supernet.strict_reading import options_in
from training.data.transforms import check_augment
from training.phases import phases
from training.reading import format_config, load_config, parse_config
from training.supernet_config import SupernetConfig

CONFIGS = Path(__file__).parents[1] / "configs"
RUNS = sorted(path.name for path in CONFIGS.glob("*.yaml") if path.name != "published.yaml")
IMAGENET = [name for name in RUNS if name.startswith("imagenet_")]
IMAGES = 1_281_167


def header(name):
    lines = (CONFIGS / name).read_text().splitlines()
    return [line for line in lines if line.startswith("#")]


def noise(cls, data, config, place=""):
    """The options that are set to their default, each as its path."""
    defaults = {field.name: field.default for field in msgspec.structs.fields(cls) if not field.required}
    hints = dict(field_hints(cls))
    found = []
    for name, written in data.items():
        value, inner = getattr(config, name), options_in(hints[name])
        if isinstance(written, dict) and inner is not None and isinstance(value, Options):
            found += noise(inner, written, value, f"{place}{name}.")
        elif name in defaults and value == defaults[name]:
            found.append(place + name)
    return found


def test_there_are_runs():
    assert {"digits.yaml", "cifar10.yaml", "imagenet_one_gpu.yaml"} < set(RUNS)
    assert len(IMAGENET) == 7


@pytest.mark.parametrize("name", RUNS)
def test_reads_and_comes_back(name):
    config = load_config(CONFIGS / name)
    assert parse_config(format_config(config)) == config
    check_augment(config.augment)


@pytest.mark.parametrize("name", RUNS)
def test_nothing_is_set_that_is_so_anyway(name):
    text = (CONFIGS / name).read_text()
    assert noise(SupernetConfig, parse_yaml(text), parse_config(text)) == []


def test_noise_is_found():
    step = "step: {sampled: 3, teacher: {model: a, share: 0.5}}"
    text = f"space: tiny\nseed: 0\ndata: {{source: digits, batch_size: 64}}\n{step}\n"
    said = noise(SupernetConfig, parse_yaml(text), parse_config(text))
    assert said == ["seed", "data.batch_size", "step.teacher.share"]


@pytest.mark.parametrize("name", RUNS)
def test_header_has_the_command(name):
    commands = [line[1:].split() for line in header(name) if "train_supernet.py configs/" in line]
    assert len(commands) == 1
    (words,) = commands
    assert f"configs/{name}" in words
    assert "--out" in words
    many = "on 8 GPUs" in " ".join(header(name))
    assert words[:3] == ["torchrun", "--nproc-per-node", "8"] if many else words[0] == "python"


@pytest.mark.parametrize("name", IMAGENET)
def test_header_of_what_was_never_run_says_so(name):
    text = re.sub(r"\s*\n?# ?", " ", "\n".join(header(name)))
    assert "Not run here" in text
    assert re.search(r"about [\d.]+ EFLOP", text)


@pytest.mark.parametrize("name", RUNS)
def test_space_and_schedule_make_sense(name):
    config = load_config(CONFIGS / name)
    space, schedule, optimizer = load_space(config.space), config.schedule, config.optimizer
    assert schedule.warmup_epochs < schedule.epochs
    assert schedule.warmup_lr < optimizer.lr
    assert schedule.min_lr < optimizer.lr
    assert config.step.conflict_from < schedule.epochs
    assert all(phase.start < schedule.epochs for phase in phases(space, config.phases))
    assert config.evaluate.every <= schedule.epochs
    assert config.processes.launcher == "auto"
    if config.step.resolution == "batch":
        assert len(space.resolutions) > 1
    if config.step.teacher is not None:
        assert space.distilled


@pytest.mark.parametrize("name", IMAGENET)
def test_imagenet(name):
    """The rate is that of the recipe for the recipe's batch, and an epoch has steps enough for the average."""
    config = load_config(CONFIGS / name)
    gpus = 1 if name == "imagenet_one_gpu.yaml" else 8
    images = config.data.batch_size * config.optimizer.accumulate * gpus
    assert images == (1024 if gpus == 1 else config.optimizer.lr_per_images)
    steps = (IMAGES - config.data.held_out) // images
    if config.ema is not None:
        assert 1 / (1 - config.ema) < config.schedule.epochs * steps / 5
    assert config.augment.color_jitter == 0
    assert config.augment.randaugment
