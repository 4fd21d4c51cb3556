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
