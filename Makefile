# The commands of a contributor: see CONTRIBUTING.md. The environment is made once, and again when a requirement changes.
PYTHON ?= python3
BIN := .venv/bin
PACKAGES := supernet training tests bench
SCRIPTS := train_supernet.py

.PHONY: help setup test lint format quick bench-networks bench-supernet clean

help:
	@echo "make setup           the environment in .venv (about 6 GB, a minute or two)"
	@echo "make test            lint, types and all tests: what decides whether a change lands"
	@echo "make quick           the tests that take seconds"
	@echo "make format          put the code into its form"
	@echo "make bench-networks  speed of our networks beside timm's"
	@echo "make bench-supernet  what a supernet costs beside static networks (about 45 minutes)"

setup: .venv/.made

.venv/.made: requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12 setup"; exit 1; }
	@# An interrupted start can leave a folder that is no environment: it is made anew, and no other Python is touched.
	test -f .venv/pyvenv.cfg && $(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -c 'import sys; sys.exit(sys.prefix == sys.base_prefix)'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

test: lint
	$(BIN)/python -m pytest

quick: .venv/.made
	$(BIN)/python -m pytest -m "not slow"

lint: .venv/.made
	$(BIN)/ruff check $(PACKAGES) $(SCRIPTS)
	$(BIN)/ruff format --check $(PACKAGES) $(SCRIPTS)
	$(BIN)/mypy
	$(BIN)/mypy $(SCRIPTS)

format: .venv/.made
	$(BIN)/ruff check --fix $(PACKAGES) $(SCRIPTS)
	$(BIN)/ruff format $(PACKAGES) $(SCRIPTS)

bench-networks: .venv/.made
	$(BIN)/python bench/networks.py

bench-supernet: .venv/.made
	$(BIN)/python bench/supernet.py

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache
