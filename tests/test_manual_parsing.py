"""Commands of the manual that no test runs can be typed all the same: their own parsers take them, what they name is
there, and the options that they change can be read. So can the sections of configs that pages show."""

import argparse
import contextlib
import importlib
import re
import runpy
import sys
from pathlib import Path

import pytest
import timm
import yaml

from latency_lut.command import protocol_of
from latency_lut.protocol import Protocol
from pipeline.reading import load_pipeline
from search.reading import load_config as load_search
from supernet import load_space, published_names
from supernet.config_files import CONFIGS
from tests.manual_pages import PAGES, ROOT, commands, fenced, prose, spoken_commands, text_of
from training.judging.config import judging_config
from training.reading import load_config
from training.recipes import find_config

NOT_RUN = [command for page in PAGES for command in commands(page) if command.not_run]
SPOKEN = [command for page in PAGES for command in spoken_commands(page)]
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


class ParsedError(Exception):
    """What a command would begin to work with."""


@pytest.fixture(autouse=True)
def _in_the_checkout(monkeypatch):
    monkeypatch.chdir(ROOT)


def parsed(words, monkeypatch):
    """Of a program of ours; it stops as soon as its parser has taken the words."""

    def stop(parser, given=None, namespace=None):
        args, rest = parser.parse_known_args(given, namespace)
        if rest:
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        raise ParsedError(args)

    with monkeypatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", stop)
        patch.setattr(sys, "argv", words)
        if words[0] == "-m":
            sys.argv = words[1:]
            is_package = (ROOT / words[1].replace(".", "/")).is_dir()
            scope = vars(importlib.import_module(f"{words[1]}.__main__" if is_package else words[1]))
        else:
            scope = runpy.run_path(str(ROOT / words[0]), run_name="a script")
        with pytest.raises(ParsedError) as stopped:
            scope["main"]()
    (args,) = stopped.value.args
    if "_check" in scope and "_parser" in scope and words[0] != "-m":
        scope["_check"](scope["_parser"](), args)
    return args


def check(command, monkeypatch):
    words = [word for word in command.words if not word.startswith("$")]  # variables of a shell
    while re.match(r"[A-Z_]+=", words[0]):
        words.pop(0)
    for word in words:
        if word.startswith(("configs/", "bench/", "tests/", "docs/")):
            assert (ROOT / word).exists(), word
    if words[0] == "make":
        assert set(words[1:]) <= TARGETS
        return
    if words[0] == "torchrun":
        from torch.distributed.run import get_args_parser

        launch = get_args_parser().parse_args(words[1:])
        words = ["python", launch.training_script, *launch.training_script_args]
    assert words.pop(0) == "python"
    if words[0] == "-c":
        compile(words[1], command.text, "exec")
    elif words[:2] == ["-m", "pytest"]:
        assert words[2:]
    elif words[0].startswith("bench/") and "argparse" not in (ROOT / words[0]).read_text():
        assert len(words) == 1
    else:
        check_named(words, parsed(words, monkeypatch))


def check_named(words, args):
    """Files of a user's own, such as runs/digits and mine.yaml, are not there."""
    program = words[1] if words[0] == "-m" else words[0]
    changes = getattr(args, "overrides", [])
    if program == "train_supernet.py" and not args.evaluate:
        assert load_config(args.config, changes)
    elif program == "search.py":
        assert load_search(args.config, changes)
    elif program == "retrain.py" and args.evaluate:
        assert judging_config(args.evaluate, changes)
    elif program == "retrain.py":
        network = args.network or "of a front.yaml"
        assert network in published_names() or network.endswith(".yaml"), network
        network = "iformer_t" if network.endswith(".yaml") else network
        assert find_config(network, args.recipe, changes).spec == network
    elif program == "pipeline":
        assert load_pipeline(args.config, changes)
    for space in getattr(args, "spaces", []):
        assert load_space(space)
    for name in [*getattr(args, "specs", []), *getattr(args, "models", [])]:
        known = name in published_names() or timm.is_model(name.removeprefix("timm:"))
        assert known or name.endswith(".yaml"), name
    assert protocol_of(getattr(args, "protocol", []), Protocol())


@pytest.mark.parametrize("command", NOT_RUN, ids=str)
def test_what_is_not_run_can_be_typed(command, monkeypatch):
    check(command, monkeypatch)


@pytest.mark.parametrize("command", SPOKEN, ids=str)
def test_what_a_sentence_names_is_there(command, monkeypatch):
    """Shortened: arguments may be missing, or called FILE."""

    class MissingError(Exception):
        pass

    def error(parser, message):
        assert message.startswith("the following arguments are required: "), message
        raise MissingError

    monkeypatch.setattr(argparse.ArgumentParser, "error", error)
    words = command.words
    if words[:2] == ["python", "-m"] and words[2].endswith(("option_table", "regenerate")):
        assert importlib.import_module(words[2])
        return
    with contextlib.suppress(MissingError):  # a sentence names a command, and may leave its arguments out
        if any(word.isupper() for word in words):
            parsed(words[1:], monkeypatch)
        else:
            check(command, monkeypatch)


def test_the_demo_is_the_pipeline_of_its_page():
    (told,) = [one for one in commands("docs/pipeline.md") if one.text.endswith("digits --out runs/demo")]
    recipe = re.search(r"^demo:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert told.text.removeprefix("python ") in recipe[1]


def test_configs_of_pipelines_in_the_manual(tmp_path, monkeypatch):
    first, networks = fenced("docs/pipeline.md", "yaml")
    assert yaml.safe_load(first) == yaml.safe_load((CONFIGS / "pipelines" / "digits.yaml").read_text())
    (mine,) = fenced("docs/your_images.md", "yaml")
    phones = fenced("docs/your_iphone.md", "yaml")
    phone = yaml.safe_load((CONFIGS / "pipelines" / "imagenet_iphone.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    Path("plans/iformer").mkdir(parents=True)
    Path("plans/iformer/table.sqlite").touch()
    for text in (first, f"{first}{networks}", mine, *(f"{yaml.dump(phone)}\n{one}" for one in phones)):
        Path("mine.yaml").write_text(yaml.dump(yaml.safe_load(text)))
        assert load_pipeline("mine.yaml").plain()


@pytest.mark.parametrize("page", ["docs/pipeline.md", "docs/your_images.md"])
def test_changes_of_pipelines_in_the_manual(page):
    changes = re.findall(r"`--set ([^`…]+)", prose(page))
    assert changes
    for change in changes:
        assert load_pipeline("digits", [change if change[-1] != "=" else f"{change}7"])


def test_every_page_says_why():
    for page in PAGES:
        marks = text_of(page).count("<!-- not run: ") + text_of(page).count("<!-- commands of this page are not run")
        assert bool(marks) == any(command.not_run for command in commands(page)), page
