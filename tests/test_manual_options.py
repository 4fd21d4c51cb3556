"""Tables of options in the manual are those of the code, each with a meaning; what comes along is listed and right."""

import re

import pytest

from pipeline.option_table import table as pipeline_table
from search.option_table import table as search_table
from search.reading import format_config, load_config, parse_config
from supernet.config_files import CONFIGS
from tests.manual_pages import ROOT, fenced, text_of
from training.command import CHANGEABLE
from training.option_table import network_table
from training.option_table import table as training_table
from training.reading import parse_config as parse_run
from training.recipes import RECIPES

TABLES = {
    "docs/training.md": (training_table, "training.option_table"),
    "docs/retraining.md": (network_table, "training.option_table network"),
    "docs/search.md": (search_table, "search.option_table"),
    "docs/pipeline.md": (pipeline_table, "pipeline.option_table"),
}


@pytest.mark.parametrize("page", TABLES)
def test_options_are_current(page):
    table, program = TABLES[page]
    assert text_of(page).endswith(table()), f"put what `python -m {program}` prints at the end of {page}"


@pytest.mark.parametrize("page", TABLES)
def test_every_option_has_a_meaning(page):
    """Only groups of options are explained elsewhere, at the head of their own tables."""
    rows = [row for row in TABLES[page][0]().splitlines() if row.startswith("| `")]
    assert rows
    assert all("| see `" in row or "| a list of these: see `" in row for row in rows if re.search(r"\| *\|$", row))


def test_rows_of_options():
    table = training_table()
    assert "| `teacher` | see `step.teacher` below | null |" in table
    assert "| `ema` | number, 0 to 0.999999 or null | null | How much of" in table
    assert "| `scale` | 2 x number, 0 to 1 | [0.08, 1] |" in table
    assert "| `start` | whole number, 0 to 10^9 | must be given |" in table
    assert "| `population` | whole number, 4 to 100,000 | 64 | Networks that are kept. |" in search_table()
    assert "| `networks` | whole number, 3 to 1,000,000 | 30 | Whole networks" in pipeline_table()


def test_what_comes_along_is_listed():
    for path in CONFIGS.glob("*.yaml"):
        assert f"`{path.name}`" in text_of("docs/training.md") or path.name == "published.yaml"
    for path in RECIPES.glob("*.yaml"):
        assert f"`{path.name}`" in text_of("docs/retraining.md")
    for path in (CONFIGS / "pipelines").glob("*.yaml"):
        assert path.name in text_of("docs/pipeline.md")


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "search").glob("*.yaml")), ids=lambda path: path.stem)
def test_searches_that_come_along_are_right(path):
    config = load_config(path)
    assert parse_config(format_config(config)) == config


def test_phases_in_the_manual():
    (text,) = fenced("docs/training.md", "yaml")
    config = parse_run(f"space: tiny\ndata: {{source: digits}}\n{text}")
    assert [phase.sort for phase in config.phases] == [False, True, False]


def test_what_an_evaluation_can_change_is_said():
    for name in CHANGEABLE:
        assert f"`{name}{'*' * name.endswith('.')}`" in text_of("docs/training.md")
