"""The manual of training says what the code does: its table of options is current, its commands can be typed."""

import re
import shlex
from pathlib import Path

import pytest

from training.command import CHANGEABLE
from training.option_table import table as option_table
from training.reading import load_config, parse_config

ROOT = Path(__file__).parents[1]
MANUAL = (ROOT / "docs" / "training.md").read_text()
COMMANDS = [
    shlex.split(line)
    for block in re.findall(r"```sh\n(.*?)```", MANUAL, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]


def test_options_are_current():
    table = option_table()
    assert MANUAL.endswith(table), "put what `python -m training.option_table` prints at the manual's end"
    assert "| `teacher` | see `step.teacher` below | null |" in table
    assert "| `ema` | number, 0 to 0.999999 or null | null | How much of" in table
    assert "| `scale` | 2 x number, 0 to 1 | [0.08, 1] |" in table
    assert "| `start` | whole number, 0 to 10^9 | must be given |" in table


def test_every_option_has_a_meaning():
    """Only groups of options are explained elsewhere, at the head of their own tables."""
    bare = [row for row in option_table().splitlines() if re.search(r"\| *\|$", row)]
    assert bare
    assert all("| see `" in row for row in bare)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_commands(words):
    script = words.index("train_supernet.py")
    rest = words[script + 1 :]
    overrides = [rest[index + 1] for index, word in enumerate(rest) if word == "--set"]
    if "--evaluate" not in rest:
        assert "--out" in rest
        assert load_config(ROOT / rest[0], overrides)


def test_runs_are_listed():
    for path in (ROOT / "configs").glob("*.yaml"):
        assert f"`{path.name}`" in MANUAL or path.name == "published.yaml"


def test_phases_in_the_manual():
    (text,) = re.findall(r"```yaml\n(.*?)```", MANUAL, re.DOTALL)
    config = parse_config(f"space: tiny\ndata: {{source: digits}}\n{text}")
    assert [phase.sort for phase in config.phases] == [False, True, False]


def test_what_an_evaluation_can_change_is_said():
    for name in CHANGEABLE:
        assert f"`{name}{'*' * name.endswith('.')}`" in MANUAL
