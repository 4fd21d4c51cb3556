# The commands of a contributor: see CONTRIBUTING.md. The environment is made once, and again when a requirement changes.
PYTHON ?= python3
BIN := .venv/bin
DATA ?= data/cifar10
PACKAGES := supernet training deploy latency_lut search retraining pipeline tests bench
SCRIPTS := train_supernet.py search.py retrain.py

.PHONY: help setup demo test lint format quick bench-networks bench-supernet bench-latency bench-estimate bench-search bench-methods bench-proof check-swift check-mac clean

help:
	@echo "make setup           the environment in .venv (about 6 GB, a minute or two)"
	@echo "make demo            the whole way on small images: runs/demo/report.html (minutes; goes on where it was stopped)"
	@echo "make test            lint, types and all tests: what decides whether a change lands"
	@echo "make quick           the tests that take seconds"
	@echo "make format          put the code into its form"
	@echo "make bench-networks  speed of our networks beside timm's"
	@echo "make bench-supernet  what a supernet costs beside static networks (about 45 minutes)"
	@echo "make bench-latency   a latency table of this computer, and how well it predicts (about 30 minutes)"
	@echo "make bench-estimate  how far the estimate for iPhones is from published figures (a minute)"
	@echo "make bench-search    drawing in a latency window, candidates a second, the predictor of accuracies (6 minutes)"
	@echo "make bench-methods   evaluations that each method of search needs, 20 seeds (30 minutes)"
	@echo "make bench-proof     found networks beside published, uniform and random ones, CIFAR-10 in DATA (two hours)"
	@echo "make check-mac       whether the requirements can be installed on a Mac (a minute, installs nothing)"
	@echo "make check-swift     build and test the phone's part, with a Swift of its own (fetches 550 MB once)"

setup: .venv/.made

.venv/.made: requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12 setup"; exit 1; }
	@# An interrupted start can leave a folder that is no environment: it is made anew, and no other Python is touched.
	test -f .venv/pyvenv.cfg && $(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -c 'import sys; sys.exit(sys.prefix == sys.base_prefix)'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

demo: .venv/.made
	$(BIN)/python -m pipeline digits --out runs/demo

# Two processes with a thread each: most tests are too small for more.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

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

bench-latency: .venv/.made
	$(BIN)/python bench/latency.py

bench-estimate: .venv/.made
	$(BIN)/python bench/estimate.py

bench-search: .venv/.made
	OMP_NUM_THREADS=1 $(BIN)/python bench/window.py
	OMP_NUM_THREADS=1 $(BIN)/python bench/candidates.py
	OMP_NUM_THREADS=1 $(BIN)/python bench/predictor.py --seeds 3

bench-methods: .venv/.made
	OMP_NUM_THREADS=1 $(BIN)/python bench/methods.py

bench-proof: .venv/.made
	OMP_NUM_THREADS=1 $(BIN)/python bench/proof.py --data $(DATA)

check-mac: .venv/.made
	$(BIN)/python bench/check_mac.py

check-swift:
	latency_lut/ios/check.sh

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache
