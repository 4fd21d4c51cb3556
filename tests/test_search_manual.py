"""The manual of the search says what the code does."""

from pathlib import Path

import pytest

from search.option_table import table
from search.reading import format_config, load_config, parse_config

ROOT = Path(__file__).parents[1]
MANUAL = (ROOT / "docs" / "search.md").read_text()


def test_options_are_current():
    assert MANUAL.endswith(table()), "put what `python -m search.option_table` prints at the manual's end"
    assert "| `population` | whole number, 4 to 100,000 | 64 | Networks that are kept. |" in MANUAL


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "search").glob("*.yaml")), ids=lambda path: path.stem)
def test_configs_that_come_along_are_right(path):
    config = load_config(path)
    assert parse_config(format_config(config)) == config


def test_the_config_of_the_manual_is_right():
    block = MANUAL.split("(see [latency.md](latency.md)):\n\n")[1].split("\n\nBefore")[0]
    config = parse_config("\n".join(line[4:] for line in block.splitlines()))
    assert config.tables[0].name == "host"
    assert config.predictor is not None
