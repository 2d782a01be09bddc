# Everything here builds what it needs: `make demo` and `make test` run on a machine with Python 3.11 or later,
# git and make. VENV=folder puts the virtual environment elsewhere, PYTHON=program makes it with another Python.

VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test quick extra chemprop check format format-check lint types layers docs clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Each stamp says that an installation came to its end, so that a broken one is taken up again.
$(VENV)/.iem: pyproject.toml
	@echo "installing iem into $(VENV): some minutes the first time"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.iem
	@$(PIP) --editable ".[dev]"
	@touch $@

$(VENV)/.docs: $(VENV)/.iem
	@$(PIP) --editable ".[docs]"
	@touch $@

$(VENV)/.chemprop: $(VENV)/.dev
	@$(PIP) --editable ".[dev,chemprop]"
	@touch $@

demo: $(VENV)/.iem  ## train on FreeSolv with and without pictures, predict, draw; then read demo/model/report.html
	$(BIN)/iem fit freesolv --seeds 3 --epochs 30 --out demo/model
	$(BIN)/iem predict demo/model "CCO" "c1ccccc1O" "CC(=O)Oc1ccccc1C(=O)O" "not a molecule" --out demo/predictions.csv
	$(BIN)/iem render "CCO" "c1ccccc1O" "CC(=O)Oc1ccccc1C(=O)O" --out demo/molecules.png
	@echo && cat demo/predictions.csv
	@echo && echo "report:      demo/model/report.html" && echo "predictions: demo/predictions.csv" \
	&& echo "pictures:    demo/molecules.png"

# Two at a time, one thread each; a process of tests takes some 2 GB.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

test: $(VENV)/.dev  ## run all tests
	$(PYTEST)

quick: $(VENV)/.dev  ## run the tests that take less than ten seconds each
	$(PYTEST) -m "not slow"

extra: $(VENV)/.dev  ## run the tests that `make test` leaves out: the splits of the largest tables, say after an update of RDKit
	$(PYTEST) -m extra

chemprop: $(VENV)/.chemprop  ## install chemprop, too, and run the tests that need it
	$(PYTEST) tests/test_chemprop.py

check: format-check lint types layers test docs  ## everything that must hold before a change is merged

format: $(VENV)/.dev  ## format the code and mend what can be mended
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

format-check: $(VENV)/.dev
	$(BIN)/ruff format --check

lint: $(VENV)/.dev  ## style and likely mistakes
	$(BIN)/ruff check

types: $(VENV)/.dev  ## check the types
	$(BIN)/mypy

layers: $(VENV)/.dev  ## imports go downwards only
	$(BIN)/lint-imports

docs: $(VENV)/.docs  ## build the manual into site/
	$(BIN)/python -m mkdocs build --strict --quiet

clean:  ## remove the environment, the demo and everything built
	rm -rf $(VENV) demo site build dist
