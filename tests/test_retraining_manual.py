"""The manual of retraining says what the code does: its table of options is current, its commands can be typed."""

import re
import shlex
from pathlib import Path

import pytest

from supernet import published_names
from training.option_table import network_table
from training.recipes import RECIPES, find_config

ROOT = Path(__file__).parents[1]
MANUAL = (ROOT / "docs" / "retraining.md").read_text()
COMMANDS = [
    shlex.split(line) for block in re.findall(r"```sh\n(.*?)```", MANUAL, re.DOTALL) for line in block.splitlines()
]


def test_options_are_current():
    assert MANUAL.endswith(network_table()), "put what `python -m training.option_table network` prints at the end"


def test_every_option_has_a_meaning():
    bare = [row for row in network_table().splitlines() if re.search(r"\| *\|$", row)]
    assert all("| see `" in row for row in bare)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_commands(words):
    rest = words[words.index("retrain.py") + 1 :]
    scope = {"__name__": "script"}
    exec(compile((ROOT / "retrain.py").read_text(), "retrain.py", "exec"), scope)  # noqa: S102  it is no module
    parser = scope["_parser"]()
    args = parser.parse_args(rest)
    scope["_check"](parser, args)
    if args.network in published_names():
        assert find_config(args.network, args.recipe, args.overrides).spec == args.network


def test_recipes_are_listed():
    for path in RECIPES.glob("*.yaml"):
        assert f"`{path.name}`" in MANUAL
