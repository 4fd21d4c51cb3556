"""The options of a run: exact to YAML and back, strict, and changed from the command line."""

import random
import typing
from types import NoneType

import msgspec
import pytest

from supernet import SpecError
from supernet.options import Options, field_hints
from supernet.values import Choice, Limit
from training.reading import format_config, load_config, parse_config
from training.supernet_config import PhaseConfig, StepConfig, SupernetConfig

TINY = """\
data: {source: digits}
space: digits
"""


def _random_value(hint, rng):
    """A value that a type allows, from its own annotations."""
    parts, origin = typing.get_args(hint), typing.get_origin(hint)
    if origin is typing.Annotated:
        rule = parts[1]
        if isinstance(rule, Choice):
            return rng.choice(rule.names)
        assert isinstance(rule, Limit)
        high = min(rule.high, rule.low + 10 ** rng.randint(0, 9))
        value = rng.uniform(rule.low, high)
        return int(value) if parts[0] is int else rng.choice([value, rule.low])
    if origin is tuple:
        hints = [parts[0]] * rng.randint(0, 3) if parts[-1] is Ellipsis else parts
        return tuple(_random_value(h, rng) for h in hints)
    if NoneType in parts:
        return rng.choice([None, _random_value(parts[0], rng)])
    if isinstance(hint, type) and issubclass(hint, Options):
        fields = {name: _random_value(h, rng) for name, h in field_hints(hint) if rng.random() < 0.6}
        required = {name for name in hint.__struct_fields__ if name in ("space", "data", "source", "model")}
        hints = dict(field_hints(hint))
        fields |= {name: _random_value(hints[name], rng) for name in required - set(fields)}
        return hint(**fields)
    texts = ["", "null", "1e-3", "a: b", "~", "true", "010", " x ", "é\n\t'", "rand-m9-mstd0.5-inc1", "/data/x", "@"]
    return {str: rng.choice(texts), bool: rng.random() < 0.5}[hint]


@pytest.mark.parametrize("seed", range(100))
def test_random_runs_come_back(seed):
    rng = random.Random(seed)
    values = {
        name: _random_value(hint, rng) for name, hint in field_hints(SupernetConfig) if name not in ("phases", "step")
    }
    starts = sorted(rng.sample(range(100), rng.randint(0, 3)))
    phases = tuple(PhaseConfig(start=start, elastic=("width",)[: start % 2]) for start in starts)
    step = {name: _random_value(hint, rng) for name, hint in field_hints(StepConfig)}
    values["data"] = msgspec.structs.replace(values["data"], batch_size=rng.randint(200, 300))
    values["schedule"] = msgspec.structs.replace(values["schedule"], epochs=rng.randint(100, 1000))
    step |= {"largest": True, "conflict_from": rng.randrange(100)}
    config = SupernetConfig(phases=phases, step=StepConfig(**step), **values)
    text = format_config(config)
    again = parse_config(text)
    assert again == config
    assert hash(again) == hash(config)
    assert format_config(again) == text


def test_defaults_are_left_out():
    assert format_config(parse_config(TINY)) == TINY


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("step.sampled=3", lambda c: c.step.sampled == 3),
        ("optimizer.lr=2e-3", lambda c: c.optimizer.lr == 2e-3),
        ("phases=[{start: 0, elastic: [width]}]", lambda c: c.phases == (PhaseConfig(start=0, elastic=("width",)),)),
        ("phases=[]", lambda c: c.phases == ()),
        ("data.path=/x", lambda c: c.data.path == "/x"),
        ("data.path=/x=1,y: 2", lambda c: c.data.path == "/x=1,y: 2"),
        ("data.train=2024", lambda c: c.data.train == "2024"),
        ('data.train="2024"', lambda c: c.data.train == "2024"),
        ("data.path=", lambda c: c.data.path == ""),
        ("space=@there", lambda c: c.space == "@there"),
        ("step.teacher.model=regnety_160", lambda c: c.step.teacher.model == "regnety_160"),
        ("step.teacher=null", lambda c: c.step.teacher is None),
        ("augment.scale=[0.2, 1]", lambda c: c.augment.scale == (0.2, 1.0)),
        (" seed = 7 ", lambda c: c.seed == 7),
    ],
)
def test_override(override, read):
    before = parse_config(TINY + "phases: [{start: 3, elastic: []}]")
    config = parse_config(TINY + "phases: [{start: 3, elastic: []}]", [override])
    assert read(config)
    assert parse_config(format_config(config)) == config
    assert (config == before) == (override in ("step.teacher=null", "data.path="))


def test_later_overrides_win():
    config = parse_config(TINY, ["step.teacher.model=a", "step.teacher.share=0.25", "step.teacher.model=b"])
    assert (config.step.teacher.model, config.step.teacher.share) == ("b", 0.25)
    assert parse_config(TINY, ["step.teacher.model=a", "step={sampled: 1}"]).step.teacher is None


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("step.sampled", "is not of the form a.b=c, such as step.sampled=3"),
        ("=3", "is not of the form a.b=c, such as step.sampled=3"),
        ("phases[0].start=3", "is not of the form a.b=c, such as step.sampled=3"),
        (
            "phases.start=3",
            "phases is a list, which can only be set as a whole: write phases=[…]",
        ),
        ("seed.x=3", "seed is a value and has no fields: write seed=…"),
        ("optimiser.lr=1", "there is no field 'optimiser' in a run, did you mean 'optimizer'?"),
        ("optimizer.lrr=1", "there is no field 'lrr' in optimizer, did you mean 'lr'?"),
        ("step.sampled=65", "step.sampled: 65 is not a number from 0 to 64"),
        ("step={sampld: 1}", "step.sampld: there is no such field, did you mean 'sampled'?"),
        ("step.teacher.share=1", "step.teacher: the field 'model' is missing"),
        (
            "seed=[",
            "line 1, column 2: not valid YAML: expected the node content, but found '<stream end>'",
        ),
    ],
)
def test_wrong_override_says_so(override, message):
    with pytest.raises(SpecError) as caught:
        parse_config(TINY, [override])
    assert str(caught.value) == f"--set {override}: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: {source: digits}", "the field 'space' is missing"),
        (TINY + "sead: 3", "sead: there is no such field, did you mean 'seed'?"),
        (TINY + "optimizer: {lr: fast}", "optimizer.lr: 'fast' can't stand here: expected a number"),
        (
            "space: a\ndata: {source: disk}",
            "data.source: 'disk' is not one of digits, folder, tar, webdataset,",
        ),
        (TINY + "phases: [{start: 5, elastic: []}, {start: 2, elastic: []}]", "phases: their starts [5, 2] don't grow"),
        (
            TINY + "phases: [{start: 0, elastic: [hight]}]",
            "phases[0].elastic[0]: 'hight' is not one of resolution, width",
        ),
        (TINY + "step: {largest: false}", "step.distill: 'soft' needs the largest subnet: step.largest is off"),
        (TINY + "step: 3", "step: 3 can't stand here: expected fields and their values"),
        ("- 1", "[1] can't stand here: expected fields and their values"),
        ("", "None can't stand here: expected fields and their values"),
    ],
)
def test_wrong_files_say_so(text, message, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_an_error_is_blamed_on_who_wrote_it(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(TINY + "seed: -1\n")
    with pytest.raises(SpecError, match=rf"^{path}: seed: -1 is not"):
        load_config(path, ["step.sampled=3"])
    with pytest.raises(SpecError, match=r"^--set seed=-2: seed: -2 is not"):
        load_config(path, ["seed=-2"])
    assert load_config(path, ["seed=2"]).seed == 2


def test_missing_file(tmp_path):
    with pytest.raises(SpecError, match=r"none\.yaml: can't be read: No such file"):
        load_config(tmp_path / "none.yaml")
